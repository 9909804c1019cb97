"""ApproxNDCG: one less a smooth form of NDCG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.discounts import discount_slopes, discounts, gains, total_discounts
from hgr_tf.losses.list_pairs import ListPairs, spread_to_samples, sum_by_list
from hgr_tf.losses.list_shares import weighted_total
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss


@tf.keras.utils.register_keras_serializable("hgr_tf")
@listwise_loss("approx_ndcg")
class ApproxNDCG:
    """One less the approximate NDCG of every list, at every level.

    ApproxNDCG(G) = 1 - sum_{i in G} w_i (2^y_i - 1) / log2(1 + r_i) / maxDCG(G)
    with approximate ranks r_i = 1 + sum_{j in G, j != i} w_j sigmoid((s_j - s_i) / T)
    and maxDCG(G) the DCG of the best order. It lies in [0, 1).

    A sample of weight w is w samples in a row: w > 1 adds (w - 1) / 2 to its rank,
    the mean over them. So a rank depends on the scale of the weights, unlike the
    other losses: give weights whose mean is about 1. All ranks past 65,536 are
    discounted as that one, without a gradient.

    Time grows with the squared lengths of the lists, memory with the batch alone
    (see `hgr_tf.losses.list_pairs`).

    Args:
        temperature: T, above 0: the smaller, the nearer to NDCG, and the fewer pairs
            have a gradient.

    Raises:
        ValueError: `temperature` is not above 0.

    Example:
        >>> loss = HierarchicalGroupwiseLoss(3, listwise="approx_ndcg")
        >>> loss = HierarchicalGroupwiseLoss(3, listwise=ApproxNDCG(temperature=0.5))

    Source: Qin, Liu and Li, "A general approximation framework for direct
    optimization of information retrieval measures", Information Retrieval 13, 2010;
    Bruch et al., "Revisiting Approximate Metric Optimization in the Age of Deep
    Neural Networks", SIGIR 2019.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        if not temperature > 0:
            raise ValueError(f"`temperature` must be above 0, got {temperature!r}")
        self.temperature = temperature

    def __call__(
        self,
        lists: NestedLists,
        labels: tf.Tensor,
        logits: tf.Tensor,
        shares_of: SharesOf,
    ) -> list[tf.Tensor]:
        """The loss of every level; see `hgr_tf.losses.ListwiseLoss`."""
        pairs, weights = ListPairs(lists), lists.weights
        mass = weights * gains(labels)
        targets = lists.sum(lists.weigh(labels))
        shares = shares_of(targets)
        factors = [t * s for t, s in zip(targets, shares, strict=True)]
        best = _best_dcg(lists, pairs, labels, mass)
        own = tf.maximum(weights - 1.0, 0.0) / 2.0 - weights / 2.0

        @tf.custom_gradient
        def losses_of(
            scores: tf.Tensor,
        ) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
            (beaten_by,) = pairs.sum(_beaten_by, [scores, weights])
            ranks = 1.0 + beaten_by + own
            dcg = sum_by_list(lists, mass * discounts(ranks))
            losses = [
                weighted_total(1.0 - tf.math.divide_no_nan(got, most), factor)
                for got, most, factor in zip(dcg, best, factors, strict=True)
            ]

            def gradient(*upstreams: tf.Tensor) -> tf.Tensor:
                scales = [
                    tf.math.divide_no_nan(upstream * factor, most)
                    for upstream, factor, most in zip(
                        upstreams, factors, best, strict=True
                    )
                ]
                # What one more rank costs each sample.
                costs = -mass * discount_slopes(ranks)
                costs *= spread_to_samples(lists, scales)
                (slopes,) = pairs.sum(_slopes, [scores, weights, costs])
                return tf.reduce_sum(slopes, axis=0)

            return losses, gradient

        return losses_of(lists.mask(logits, 0.0) / self.temperature)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"temperature": self.temperature}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ApproxNDCG:
        """Makes the loss from `get_config`."""
        return cls(**config)


def _best_dcg(
    lists: NestedLists, pairs: ListPairs, labels: tf.Tensor, mass: tf.Tensor
) -> list[tf.Tensor]:
    """The DCG of the best order: a float32 [num_groups] for each level."""

    def better_and_equal(
        row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        (label, _), (other, weight) = row, column
        return (
            tf.where(other > label, weight, 0.0),
            tf.where(tf.equal(other, label), weight, 0.0),
        )

    better, equal = pairs.sum(better_and_equal, [labels, lists.weights], 2)
    # Samples of equal labels share what their ranks give.
    given = total_discounts(better + equal) - total_discounts(better)
    return sum_by_list(lists, mass * tf.math.divide_no_nan(given, equal))


def _beaten_by(
    row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
) -> list[tf.Tensor]:
    (score, _), (other, weight) = row, column
    return [weight * tf.sigmoid(other - score)]


def _slopes(
    row: tuple[tf.Tensor, ...], column: tuple[tf.Tensor, ...]
) -> list[tf.Tensor]:
    (score, weight, cost), (other, other_weight, other_cost) = row, column
    probability = tf.sigmoid(other - score)
    lost = weight * other_cost - other_weight * cost
    return [probability * (1.0 - probability) * lost]
