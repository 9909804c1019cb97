"""pairwise_logistic: every pair of a group in the wrong order pays."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss
from hgr_tf.losses.pairwise_losses import mean_logistic_losses


@listwise_loss("pairwise_logistic")
def pairwise_logistic(
    lists: NestedLists, labels: tf.Tensor, logits: tf.Tensor, shares_of: SharesOf
) -> list[tf.Tensor]:
    """Logistic loss of the pairs of every group, at every level.

    For the pairs i, j of G with y_i > y_j:
    Pairwise(G) = sum_ij w_i w_j log(1 + exp(s_j - s_i)) / sum_ij w_i w_j

    Time grows with the squared lengths of the lists, memory with the batch alone
    (see `hgr_tf.losses.list_pairs`).

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        shares_of: See `hgr_tf.losses.ListwiseLoss`; the target mass is sum_G w y,
            so that groups are averaged as in `list_ce`.

    Returns:
        A float32 scalar for each level, deepest first.

    Example:
        >>> loss = HierarchicalGroupwiseLoss(3, listwise="pairwise_logistic")

    Source: Burges et al., "Learning to Rank using Gradient Descent", ICML 2005.
    """
    return mean_logistic_losses(lists, labels, logits, shares_of)
