"""MaskedMean: the mean of the embeddings of a multi-valued feature."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class MaskedMean(tf.keras.layers.Layer):
    """Mean of embeddings over the ids that are not 0 (padding or missing).

    mean_b = Σ_j [id_bj ≠ 0] e_bj / max(1, Σ_j [id_bj ≠ 0]): the zero vector
    where a row has no id. Axes before the last two, such as the events of a
    history, stay as they are.

    Example:
        >>> ids = tf.constant([[3, 0], [0, 0]], tf.int64)
        >>> MaskedMean()([tf.ones([2, 2, 4]), ids]).shape
        TensorShape([2, 4])
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns [..., dim] of ([..., length, dim], ids [..., length])."""
        return masked_mean(*inputs)

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Drops the length axis of the embeddings."""
        *outer, _, dim = input_shape[0]
        return (*outer, dim)


def masked_mean(embeddings: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """The mean [..., dim] of embeddings [..., length, dim]; see `MaskedMean`."""
    present = present_ids(ids, embeddings.dtype)
    # A product of matrices, which makes no masked copy of the embeddings.
    total = tf.squeeze(tf.matmul(present[..., tf.newaxis, :], embeddings), axis=-2)
    return total / num_present(present)


def present_ids(ids: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """1 where an id is not 0, else 0; [..., length] as the ids."""
    return tf.cast(tf.not_equal(ids, 0), dtype)


def num_present(present: tf.Tensor) -> tf.Tensor:
    """How many of [..., length] `present_ids` are there, but at least 1; [..., 1]."""
    return tf.maximum(tf.reduce_sum(present, axis=-1, keepdims=True), 1)
