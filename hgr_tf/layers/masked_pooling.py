"""MaskedPooling: the sum or the maximum of the embeddings of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class MaskedPooling(tf.keras.layers.Layer):
    """Sum or maximum of embeddings over the ids that are not 0.

    sum_b = Σ_j [id_bj ≠ 0] e_bj, or max_b = max_{j: id_bj ≠ 0} e_bj in each
    dimension; the zero vector where a row has no id. See `MaskedMean` for the mean.

    Args:
        mode: "sum" or "max".
        **kwargs: As of every Keras layer.

    Call arguments:
        inputs: Embeddings [batch, length, dim], and integer ids [batch, length], of
            which 0 is padding or missing.

    Returns:
        [batch, dim], of the dtype of the embeddings.

    Raises:
        ValueError: `mode` is neither.

    Example:
        >>> ids = tf.constant([[3, 0], [0, 0]], tf.int64)
        >>> MaskedPooling("sum")([tf.ones([2, 2, 1]), ids]).numpy().ravel()
        array([1., 0.], dtype=float32)
    """

    def __init__(self, mode: Literal["sum", "max"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in ("sum", "max"):
            raise ValueError(f"`mode` must be 'sum' or 'max', got {mode!r}")
        self.mode = mode

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Pools the embeddings of each row."""
        embeddings, ids = inputs
        present = tf.not_equal(ids, 0)[..., tf.newaxis]
        if self.mode == "sum":
            return tf.reduce_sum(embeddings * tf.cast(present, embeddings.dtype), 1)
        lowest = tf.constant(embeddings.dtype.min, embeddings.dtype)
        highest = tf.reduce_max(tf.where(present, embeddings, lowest), axis=1)
        some = tf.reduce_any(present, axis=1)
        return tf.where(some, highest, tf.zeros_like(highest))

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, int | None]:
        """Drops the length axis of the embeddings."""
        batch, _, dim = input_shape[0]
        return (batch, dim)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "mode": self.mode}
