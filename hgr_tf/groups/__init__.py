"""Groups of a batch by code prefix, and what they look like as lists."""

from hgr_tf.groups.nested_lists import NestedLists, two_classes
from hgr_tf.groups.prefix_groups import Groups, id_groups, prefix_groups, whole_batch
from hgr_tf.groups.shuffled_codes import shuffled_codes
from hgr_tf.groups.statistics import GroupStatistics, group_statistics

__all__ = [
    "GroupStatistics",
    "Groups",
    "NestedLists",
    "group_statistics",
    "id_groups",
    "prefix_groups",
    "shuffled_codes",
    "two_classes",
    "whole_batch",
]
