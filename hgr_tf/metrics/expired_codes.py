from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.metrics.inputs import check_positive, ratio
from hgr_tf.metrics.summing_metric import SummingMetric


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class ExpiredCodes(SummingMetric):
    """Codewords of a level that a quantizer has replaced for want of use, so far.

    A count that still grows late in a training says that the codebook is larger
    than the embeddings need.

    Args:
        level: Which of the levels to count; 1 is the shallowest.
        name: Name of the metric.
        dtype: Dtype of the result; the count is float64 whatever it is.

    Example:
        >>> metric = hgr_tf.metrics.ExpiredCodes(level=2)
        >>> metric.update_state(quantizer.expired)  # [0, 3]
        >>> float(metric.result())
        3.0
    """

    def __init__(
        self, level: int = 1, name: str = "expired_codes", dtype: str | None = None
    ) -> None:
        check_positive("level", level)
        super().__init__(name=name, dtype=dtype)
        self.level = level
        # Replicas add up what each was told of the same count.
        self._count = self._add_sum("count")
        self._told = self._add_sum("told")

    def update_state(
        self, expired: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Takes the counts as they stand; they replace those before.

        Args:
            expired: int [levels], as `ResidualVectorQuantizer.expired`.
            sample_weight: Not used: codewords have none.

        Raises:
            ValueError: If there are fewer than `level` counts.
        """
        expired = tf.convert_to_tensor(expired)
        if expired.shape.rank != 1 or expired.shape[0] < self.level:
            raise ValueError(
                f"`expired` must be [levels] with at least {self.level} levels, "
                f"got shape {expired.shape}."
            )
        self._count.assign(tf.cast(expired[self.level - 1], tf.float64))
        self._told.assign(1.0)

    def result(self) -> tf.Tensor:
        """The count, a scalar; NaN before the first update."""
        return tf.cast(ratio(self._count, self._told), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"level": self.level}
