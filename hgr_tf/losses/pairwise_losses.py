"""The weighted mean of the logistic loss over the pairs of every list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.list_pairs import ListPairs, spread_to_samples, sum_by_list
from hgr_tf.losses.list_shares import weighted_total
from hgr_tf.losses.listwise_loss import SharesOf

# Columns of a sample that every pair needs; those of `factor` come after.
_OWN = 3


def mean_logistic_losses(
    lists: NestedLists,
    labels: tf.Tensor,
    logits: tf.Tensor,
    shares_of: SharesOf,
    factor: Callable[[tuple, tuple], tf.Tensor | float] = lambda row, column: 1.0,
    columns: Sequence[tf.Tensor] = (),
    pairs: ListPairs | None = None,
) -> list[tf.Tensor]:
    """sum_ij f_ij w_i w_j log(1 + exp(s_j - s_i)) / sum_ij f_ij w_i w_j of every list.

    Sums run over the pairs with y_i > y_j. Lists are averaged by their targets
    sum_i w_i y_i. No gradient reaches f.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        shares_of: See `hgr_tf.losses.ListwiseLoss`.
        factor: f, symmetric, of the `columns` of either sample of a pair.
        columns: See `values` of `ListPairs.sum`.
        pairs: `ListPairs` of the lists, if they are there already.

    Returns:
        A float32 scalar for each level, deepest first.
    """
    pairs = pairs or ListPairs(lists)
    own = [labels, lists.weights]
    targets = lists.sum(lists.weigh(labels))
    masses = [t * s for t, s in zip(targets, shares_of(targets), strict=True)]

    def pair_weights(
        row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
    ) -> tf.Tensor:
        return row[1] * column[1] * factor(row[_OWN:], column[_OWN:])

    def losses_and_weights(
        row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        weight = tf.where(row[0] > column[0], pair_weights(row, column), 0.0)
        return weight * tf.math.softplus(column[2] - row[2]), weight

    def slopes(
        row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
    ) -> list[tf.Tensor]:
        # Both samples of a pair feel its loss.
        order = tf.sign(row[0] - column[0])
        slope = -order * tf.sigmoid(order * (column[2] - row[2]))
        return [slope * pair_weights(row, column)]

    @tf.custom_gradient
    def losses_of(
        logits: tf.Tensor,
    ) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
        values = [*own, logits, *columns]
        sums = pairs.sum(losses_and_weights, values, 2)
        losses, weights = (sum_by_list(lists, each) for each in sums)
        levels = [
            weighted_total(tf.math.divide_no_nan(loss, weight), mass)
            for loss, weight, mass in zip(losses, weights, masses, strict=True)
        ]

        def gradient(*upstreams: tf.Tensor) -> tf.Tensor:
            scales = [
                tf.math.divide_no_nan(upstream * mass, weight)
                for upstream, mass, weight in zip(
                    upstreams, masses, weights, strict=True
                )
            ]
            (sums,) = pairs.sum(slopes, values)
            return tf.reduce_sum(sums * spread_to_samples(lists, scales), axis=0)

        return levels, gradient

    return losses_of(lists.mask(logits, 0.0))
