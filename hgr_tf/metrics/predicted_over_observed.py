from __future__ import annotations

import tensorflow as tf

from hgr_tf.metrics.inputs import flat_batch, ratio
from hgr_tf.metrics.summing_metric import SummingMetric


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class PredictedOverObserved(SummingMetric):
    r"""PCOC: predicted clicks over observed clicks.

    $$
    \mathrm{PCOC} = \frac{\sum_i w_i p_i}{\sum_i w_i y_i}
    $$

    1 is calibrated on average, above 1 predicts too much. It is undefined,
    NaN, while no positive has been seen.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result; the sums are float64 whatever it is.

    Example:
        >>> metric = hgr_tf.metrics.PredictedOverObserved()
        >>> metric.update_state([1, 0], [.7, .5])
        >>> float(metric.result())
        1.2

    Source: He et al., "Practical Lessons from Predicting Clicks on Ads at
    Facebook", ADKDD 2014, section 2 (there: calibration).
    """

    def __init__(self, name: str = "pcoc", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._predicted = self._add_sum("predicted")
        self._observed = self._add_sum("observed")

    def update_state(
        self,
        y_true: tf.Tensor,
        y_pred: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            y_true: [batch] or [batch, 1] labels, at least 0.
            y_pred: [batch] or [batch, 1] probabilities.
            sample_weight: Scalar, [batch] or [batch, 1], at least 0.

        Raises:
            ValueError: If the sizes differ or a value is negative.
        """
        y_true, y_pred, weights = flat_batch(y_true, y_pred, sample_weight)
        weights = tf.cast(weights, tf.float64)
        predicted = tf.reduce_sum(weights * tf.cast(y_pred, tf.float64))
        observed = tf.reduce_sum(weights * tf.cast(y_true, tf.float64))
        self._predicted.assign_add(predicted)
        self._observed.assign_add(observed)

    def result(self) -> tf.Tensor:
        """The ratio, a scalar."""
        return tf.cast(ratio(self._predicted, self._observed), self.dtype)
