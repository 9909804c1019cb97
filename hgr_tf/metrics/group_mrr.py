"""GroupMRR: the mean over users of the reciprocal rank of the first positive."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.metrics.ranked_group_metric import RankedGroupMetric, first_positives


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class GroupMRR(RankedGroupMetric):
    """Mean over the users with a positive of 1 / rank of their first positive.

    Of t rows that tie for it with m positives, the first positive is taken to be the
    (t + 1) / (m + 1)-th: its mean place over all orders of the tied rows. Undefined,
    NaN, while no user has a positive, and once a score is NaN. Exact; see `GroupAUC`
    and `hgr_tf.metrics.group_metric.GroupMetric`.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result.

    Example:
        >>> metric = hgr_tf.metrics.GroupMRR()
        >>> metric.update_state([1, 0, 0], [.5, .9, .1], groups=[7, 7, 7])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, name: str = "mrr", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def _of_groups(
        self, group: tf.Tensor, scores: tf.Tensor, gains: tf.Tensor
    ) -> tf.Tensor:
        above, tied, positives = first_positives(group, scores, gains)
        return 1.0 / (above + (tied + 1.0) / (positives + 1.0))
