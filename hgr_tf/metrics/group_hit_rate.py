"""GroupHitRate: the share of users with a positive among their first k rows."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.metrics.inputs import check_positive
from hgr_tf.metrics.ranked_group_metric import RankedGroupMetric, first_positives


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class GroupHitRate(RankedGroupMetric):
    """Share of the users with a positive that have one among their first k rows.

    Where t rows with m positives tie across rank k, n of them before it, a user counts
    for the share 1 - C(t - m, n) / C(t, n) of the orders of the tied rows in which one
    is. Undefined, NaN, while no user has a positive, and once a score is NaN. Exact;
    see `GroupAUC` and `hgr_tf.metrics.group_metric.GroupMetric`.

    Args:
        k: How many of a user's first rows are looked at.
        name: Name of the metric; by default "hit_rate_<k>".
        dtype: Dtype of the result.

    Example:
        >>> metric = hgr_tf.metrics.GroupHitRate(k=1)
        >>> metric.update_state([1, 0, 0], [.5, .5, .1], groups=[7, 7, 7])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self, k: int = 10, name: str | None = None, dtype: str | None = None
    ) -> None:
        check_positive("k", k)
        super().__init__(name or f"hit_rate_{k}", dtype)
        self.k = k

    def _of_groups(
        self, group: tf.Tensor, scores: tf.Tensor, gains: tf.Tensor
    ) -> tf.Tensor:
        above, tied, positives = first_positives(group, scores, gains)
        places = tf.clip_by_value(self.k - above, tf.zeros_like(tied), tied)
        misses = tied - positives
        log_share = (
            _log_factorial(misses)
            - _log_factorial(misses - places)
            - _log_factorial(tied)
            + _log_factorial(tied - places)
        )
        missed = tf.where(places > misses, tf.zeros_like(tied), tf.exp(log_share))
        return 1.0 - missed

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "k": self.k}


def _log_factorial(counts: tf.Tensor) -> tf.Tensor:
    """log(n!), [groups]; anything finite below 0."""
    return tf.math.lgamma(tf.maximum(counts, tf.zeros_like(counts)) + 1.0)
