"""AreaUnderCurve: Keras's AUC, which says when it is undefined."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.metrics.inputs import undefined


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class AreaUnderCurve(tf.keras.metrics.AUC):
    """AUC over thresholds, as Keras's, but NaN without a positive or a negative.

    The state is sums of weights by threshold, so that a stream needs no more memory
    than `num_thresholds`. Keras's own is 0 where there is but one class.

    Args:
        num_thresholds: Number of thresholds; the error is about 1 / num_thresholds.
        name: Name of the metric.
        **kwargs: As of `tf.keras.metrics.AUC`.

    Example:
        >>> metric = hgr_tf.metrics.AreaUnderCurve()
        >>> metric.update_state([1, 0], [.9, .1])
        >>> round(float(metric.result()), 4)
        1.0
    """

    def __init__(
        self, num_thresholds: int = 1000, name: str = "auc", **kwargs: Any
    ) -> None:
        super().__init__(num_thresholds=num_thresholds, name=name, **kwargs)

    def result(self) -> tf.Tensor:
        """The area, a scalar between 0 and 1; NaN without both classes."""
        # Every threshold sees all positives, and all negatives.
        positives = self.true_positives[0] + self.false_negatives[0]
        negatives = self.true_negatives[0] + self.false_positives[0]
        area = tf.convert_to_tensor(super().result())
        both = (positives > 0) & (negatives > 0)
        return tf.where(both, area, undefined(area))
