"""Listwise losses inside the groups of a batch."""

from hgr_tf.losses.groupwise_baseline_loss import GroupwiseBaselineLoss
from hgr_tf.losses.groupwise_loss import GroupwiseLossOutput
from hgr_tf.losses.hierarchical_groupwise_loss import HierarchicalGroupwiseLoss
from hgr_tf.losses.listwise.approx_ndcg import ApproxNDCG
from hgr_tf.losses.listwise_loss import (
    ListwiseLoss,
    Needs,
    listwise_loss,
    listwise_names,
)

__all__ = [
    "ApproxNDCG",
    "GroupwiseBaselineLoss",
    "GroupwiseLossOutput",
    "HierarchicalGroupwiseLoss",
    "ListwiseLoss",
    "Needs",
    "listwise_loss",
    "listwise_names",
]
