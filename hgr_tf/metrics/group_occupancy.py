from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.flat_inputs import flat_float
from hgr_tf.groups import group_statistics, prefix_groups
from hgr_tf.input_checks import check_labels
from hgr_tf.metrics.inputs import check_positive, first_codes, flat_weights, ratio
from hgr_tf.metrics.summing_metric import SummingMetric


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class GroupOccupancy(SummingMetric):
    """Share of samples whose list holds a positive and a negative.

    The lists of a level are the samples of one batch whose first `level` codes
    agree, so the figure depends on the batch size. Only samples in such lists
    take part in a group-wise loss: when the deepest level's share stays under one
    half, take a smaller codebook or a larger batch.

    Args:
        level: Level of the lists; 1 is the shallowest.
        name: Name of the metric.
        dtype: Dtype of the result; counts are float64 whatever it is.

    Example:
        >>> metric = hgr_tf.metrics.GroupOccupancy(level=1)
        >>> metric.update_state([1, 0, 1, 1], [[5], [5], [6], [6]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self, level: int = 1, name: str = "group_occupancy", dtype: str | None = None
    ) -> None:
        check_positive("level", level)
        super().__init__(name=name, dtype=dtype)
        self.level = level
        self._listed = self._add_sum("listed")
        self._samples = self._add_sum("samples")

    def update_state(
        self,
        y_true: tf.Tensor,
        codes: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            y_true: [batch] or [batch, 1] labels.
            codes: [batch, levels] integers.
            sample_weight: [batch] or [batch, 1]; a sample of weight w counts as w.

        Raises:
            ValueError: If `codes` has fewer than `level` columns.
        """
        labels = flat_float(y_true)
        weights = flat_weights(sample_weight, labels)
        labels = check_labels(tf.where(weights > 0, labels, 0.0))
        groups = prefix_groups(first_codes(codes, self.level))
        occupancy = group_statistics(groups, labels, weights).occupancy[-1]
        samples = tf.reduce_sum(weights)
        self._listed.assign_add(tf.cast(occupancy, tf.float64) * samples)
        self._samples.assign_add(samples)

    def result(self) -> tf.Tensor:
        """The share, a scalar between 0 and 1; NaN without rows."""
        return tf.cast(ratio(self._listed, self._samples), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"level": self.level}
