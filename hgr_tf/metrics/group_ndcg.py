"""GroupNDCG: the mean of users' NDCG@k."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from hgr_tf.metrics.inputs import check_positive
from hgr_tf.metrics.ranked_group_metric import RankedGroupMetric
from hgr_tf.metrics.sorted_groups import differs_from_previous, order_of, segment_ids


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class GroupNDCG(RankedGroupMetric):
    r"""NDCG@k of each user's rows, averaged over the users with a positive.

    $$
    \mathrm{DCG@k} = \sum_{r=1}^{k} \frac{y_{(r)}}{\log_2(1 + r)}, \qquad
    \mathrm{NDCG@k} = \frac{\mathrm{DCG@k}}{\max \mathrm{DCG@k}}
    $$

    with the label $y_{(r)}$ of the row with the r-th highest score of the user as its
    gain, graded or not. Rows of equal scores share the mean discount of their ranks, as
    in scikit-learn. Undefined, NaN, while no user has a positive, and once a score is
    NaN. Exact; see `GroupAUC` and `hgr_tf.metrics.group_metric.GroupMetric`.

    Args:
        k: How many of a user's first rows count.
        name: Name of the metric; by default "ndcg_<k>".
        dtype: Dtype of the result.

    Example:
        >>> metric = hgr_tf.metrics.GroupNDCG(k=2)
        >>> metric.update_state([1, 0, 0], [.5, .9, .1], groups=[7, 7, 7])
        >>> round(float(metric.result()), 4)
        0.6309

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR
    techniques", ACM TOIS 20 (2002).
    """

    def __init__(
        self, k: int = 10, name: str | None = None, dtype: str | None = None
    ) -> None:
        check_positive("k", k)
        super().__init__(name or f"ndcg_{k}", dtype)
        self.k = k

    def _of_groups(
        self, group: tf.Tensor, scores: tf.Tensor, gains: tf.Tensor
    ) -> tf.Tensor:
        ideal = tf.gather(gains, order_of(group, -gains))
        return tf.math.divide_no_nan(
            self._dcg(group, scores, gains), self._dcg(group, ideal, ideal)
        )

    def _dcg(self, group: tf.Tensor, scores: tf.Tensor, gains: tf.Tensor) -> tf.Tensor:
        starts = differs_from_previous(group)
        row = tf.range(tf.size(group))
        rank = row - tf.gather(tf.math.segment_min(row, group), group)
        discounts = math.log(2.0) / tf.math.log(tf.cast(rank, tf.float64) + 2.0)
        discounts = tf.where(rank < self.k, discounts, tf.zeros_like(discounts))
        tie = segment_ids(starts | differs_from_previous(scores))
        shared = tf.gather(tf.math.segment_mean(discounts, tie), tie)
        return tf.math.segment_sum(gains * shared, group)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "k": self.k}
