"""WeightedPooling: the weighted mean or sum of the embeddings of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class WeightedPooling(tf.keras.layers.Layer):
    """Weighted mean or sum of embeddings over the ids that are not 0.

    With v_bj = [id_bj ≠ 0] w_bj, sum_b = Σ_j v_bj e_bj and mean_b = sum_b / Σ_j |v_bj|:
    the zero vector where a row has no id, or no weight. See `MaskedMean` for lists
    without weights.

    Args:
        mode: "mean" or "sum".
        **kwargs: As of every Keras layer.

    Call arguments:
        inputs: Embeddings [batch, length, dim], integer ids [batch, length], of which
            0 is padding or missing, and weights [batch, length].

    Returns:
        [batch, dim], of the dtype of the embeddings.

    Raises:
        ValueError: `mode` is neither.

    Example:
        >>> ids, weights = tf.constant([[3, 0], [0, 0]]), tf.constant([[0.5, 9]] * 2)
        >>> WeightedPooling("sum")([tf.ones([2, 2, 1]), ids, weights]).numpy().ravel()
        array([0.5, 0. ], dtype=float32)
    """

    def __init__(self, mode: Literal["mean", "sum"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in ("mean", "sum"):
            raise ValueError(f"`mode` must be 'mean' or 'sum', got {mode!r}")
        self.mode = mode

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Pools the embeddings of each row."""
        embeddings, ids, weights = inputs
        weights = tf.cast(weights, embeddings.dtype)
        weights = tf.where(tf.not_equal(ids, 0), weights, tf.zeros_like(weights))
        total = tf.einsum("bl,bld->bd", weights, embeddings)
        if self.mode == "sum":
            return total
        whole = tf.reduce_sum(tf.abs(weights), axis=1, keepdims=True)
        return tf.math.divide_no_nan(total, whole)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, int | None]:
        """Drops the length axis of the embeddings."""
        batch, _, dim = input_shape[0]
        return (batch, dim)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "mode": self.mode}
