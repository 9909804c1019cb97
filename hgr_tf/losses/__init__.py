"""Listwise losses inside the groups of a batch."""

from hgr_tf.losses.groupwise_baseline_loss import GroupwiseBaselineLoss
from hgr_tf.losses.groupwise_loss import GroupwiseLossOutput
from hgr_tf.losses.hierarchical_groupwise_loss import HierarchicalGroupwiseLoss

__all__ = [
    "GroupwiseBaselineLoss",
    "GroupwiseLossOutput",
    "HierarchicalGroupwiseLoss",
]
