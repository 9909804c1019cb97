from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.metrics.inputs import flat_weights, ratio
from hgr_tf.metrics.summing_metric import SummingMetric


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class QuantizationError(SummingMetric):
    r"""Mean squared distance of embeddings to what their codes decode to.

    $$
    \frac{\sum_i w_i \| e_i - \hat{e}_i \|^2}{\sum_i w_i}
    \qquad\text{or, relative,}\qquad
    \frac{\sum_i w_i \| e_i - \hat{e}_i \|^2}{\sum_i w_i \| e_i \|^2}
    $$

    The relative error is comparable over a training in which embeddings grow: 0
    is perfect, 1 no better than decoding to zeros. The error of a level is that
    of its prefixes, `quantizer.decode(codes[:, :level])`.

    Args:
        relative: Whether to divide by the squared norms of the embeddings.
        name: Name of the metric.
        dtype: Dtype of the result; the sums are float64 whatever it is.

    Example:
        >>> metric = hgr_tf.metrics.QuantizationError()
        >>> metric.update_state([[1., 0.], [0., 2.]], [[1., 0.], [0., 0.]])
        >>> float(metric.result())
        2.0
    """

    def __init__(
        self,
        relative: bool = False,
        name: str = "quantization_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.relative = relative
        self._error = self._add_sum("error")
        self._scale = self._add_sum("scale")

    def update_state(
        self,
        embeddings: tf.Tensor,
        decoded: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            embeddings: float [batch, dim].
            decoded: float [batch, dim].
            sample_weight: [batch] or [batch, 1]; None weighs each row 1.
        """
        embeddings = tf.cast(embeddings, tf.float64)
        decoded = tf.cast(decoded, tf.float64)
        errors = tf.reduce_sum(tf.square(embeddings - decoded), axis=-1)
        weights = flat_weights(sample_weight, errors)
        norms = tf.reduce_sum(tf.square(embeddings), axis=-1)
        # A row of weight 0 may hold anything, NaN too.
        norms = tf.math.multiply_no_nan(norms, weights)
        scale = norms if self.relative else weights
        errors = tf.math.multiply_no_nan(errors, weights)
        self._error.assign_add(tf.reduce_sum(errors))
        self._scale.assign_add(tf.reduce_sum(scale))

    def result(self) -> tf.Tensor:
        """The error, a scalar; NaN without rows."""
        return tf.cast(ratio(self._error, self._scale), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"relative": self.relative}
