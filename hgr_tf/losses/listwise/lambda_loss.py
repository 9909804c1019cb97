"""lambda_loss: pairs weighted by what swapping them changes in NDCG."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.discounts import discounts, gains
from hgr_tf.losses.list_pairs import ListPairs
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss
from hgr_tf.losses.pairwise_losses import mean_logistic_losses


@listwise_loss("lambda_loss")
def lambda_loss(
    lists: NestedLists, labels: tf.Tensor, logits: tf.Tensor, shares_of: SharesOf
) -> list[tf.Tensor]:
    """LambdaRank of every group, at every level.

    For the pairs i, j of G with y_i > y_j:
    Lambda(G) = sum_ij d_ij w_i w_j log(1 + exp(s_j - s_i)) / sum_ij d_ij w_i w_j
    with d_ij = |2^y_i - 2^y_j| . |1 / log2(1 + r_i) - 1 / log2(1 + r_j)|: the
    change of NDCG if i and j swap ranks (maxDCG cancels in the mean). Ranks r have
    no gradient. tensorflow-ranking's form of it is the `compute_per_list` of
    PairwiseLogisticLoss with NDCGLambdaWeight(smooth_fraction=1).

    Of equal logits, the higher label is ranked below, so that it pays; equal
    logits of equal labels share the mean of their ranks. A sample of weight w is w
    samples in a row: the scale of the weights matters as it does to `approx_ndcg`.

    Time grows with the squared lengths of the lists, memory with the batch alone
    (see `hgr_tf.losses.list_pairs`).

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch], below 128.
        logits: float32 [batch].
        shares_of: See `hgr_tf.losses.ListwiseLoss`; the target mass is sum_G w y,
            so that groups are averaged as in `list_ce`.

    Returns:
        A float32 scalar for each level, deepest first.

    Example:
        >>> loss = HierarchicalGroupwiseLoss(3, listwise="lambda_loss")

    Source: Burges, Ragno and Le, "Learning to Rank with Nonsmooth Cost Functions",
    NeurIPS 2006; Wang et al., "The LambdaLoss Framework for Ranking Metric
    Optimization", CIKM 2018, equation 11.
    """
    pairs = ListPairs(lists)
    weights = lists.weights
    (above,) = pairs.sum(_above, [lists.mask(logits, 0.0), labels, weights])
    # Half of its own weight is among `above`.
    ranks = 1.0 + above + tf.maximum(weights - 1.0, 0.0) / 2.0 - weights / 2.0
    columns = [gains(labels), discounts(ranks)]
    return mean_logistic_losses(
        lists, labels, logits, shares_of, _gain_of_swap, columns, pairs
    )


def _above(
    row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
) -> list[tf.Tensor]:
    """The weight of what is ranked above a sample, and half of what is level."""
    (logit, label, _), (other, other_label, weight) = row, column
    ties = tf.equal(other, logit)
    level = ties & tf.equal(other_label, label)
    higher = (other > logit) | (ties & (other_label < label))
    return [weight * tf.where(higher, 1.0, tf.where(level, 0.5, 0.0))]


def _gain_of_swap(
    row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
) -> tf.Tensor:
    return tf.abs(row[0] - column[0]) * tf.abs(row[1] - column[1])
