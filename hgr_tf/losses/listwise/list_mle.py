"""list_mle: the likelihood of the order that the labels give."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.list_pairs import spread_to_samples, sum_by_list
from hgr_tf.losses.list_shares import weighted_total
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss
from hgr_tf.losses.ordered_lists import NOTHING, OrderedLists


@listwise_loss("list_mle")
def list_mle(
    lists: NestedLists, labels: tf.Tensor, logits: tf.Tensor, shares_of: SharesOf
) -> list[tf.Tensor]:
    """ListMLE of every group, at every level.

    ListMLE(G) = 1 / n sum_i w_i log( 1 + sum_{j: y_j < y_i} w_j exp(s_j - s_i) )
    where n is the weight of the samples i that have a lower label below them: the
    negative log likelihood of the order of the labels (Plackett-Luce), for each
    choice that it makes.

    Ties: samples of equal label do not compete, as nothing says in which order they
    belong; each is chosen from itself and what has a lower label. Where all labels
    differ, that is ListMLE as published; with binary labels it is each positive
    against all negatives (tensorflow-ranking's UniqueSoftmaxLoss). Where others
    break ties at random or by position, here the order of a batch changes nothing.

    It costs a sort and, for each level, a few passes over the batch.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        shares_of: See `hgr_tf.losses.ListwiseLoss`; the target mass is sum_G w y,
            so that groups are averaged as in `list_ce`.

    Returns:
        A float32 scalar for each level, deepest first.

    Example:
        >>> loss = HierarchicalGroupwiseLoss(3, listwise="list_mle")

    Source: Xia et al., "Listwise approach to learning to rank: theory and
    algorithm", ICML 2008.
    """
    ordered = OrderedLists(lists, labels)
    weights = lists.weights
    # What is masked, or alone at the bottom, has a weight of exactly 0.
    log_weights = tf.where(weights > 0, tf.math.log(weights), NOTHING)
    above_others = tf.where(ordered.has_lower, weights, 0.0)
    choices = sum_by_list(lists, above_others)
    targets = lists.sum(lists.weigh(labels))
    shares = [
        tf.math.divide_no_nan(target * share, choice)
        for target, share, choice in zip(
            targets, shares_of(targets), choices, strict=True
        )
    ]

    @tf.custom_gradient
    def losses_of(
        logits: tf.Tensor,
    ) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
        lower = ordered.log_sum_of_lower(log_weights + logits)
        gaps = lower - logits
        costs = sum_by_list(lists, above_others * tf.math.softplus(gaps))
        losses = list(map(weighted_total, costs, shares))

        def gradient(*upstreams: tf.Tensor) -> tf.Tensor:
            # Of each choice: its weight, and the logarithm of what it chose from.
            weight = above_others * spread_to_samples(lists, shares)
            chosen_from = logits + tf.math.softplus(gaps)
            log_weight = tf.where(weight > 0, tf.math.log(weight), NOTHING)
            owed = ordered.log_sum_of_higher(log_weight - chosen_from)
            of_levels = tf.exp(log_weights + logits + owed) - weight * tf.sigmoid(gaps)
            return tf.tensordot(tf.stack(upstreams), of_levels, 1)

        return losses, gradient

    return losses_of(lists.mask(logits, 0.0))
