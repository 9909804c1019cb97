"""Embedding: Keras's, at a fraction of the cost for the lists of a training step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.compat import plain_variable
from hgr_tf.layers.list_lookup import is_list_of_small_table, look_up_lists


@tf.keras.utils.register_keras_serializable("hgr_tf")
class Embedding(tf.keras.layers.Embedding):
    """Keras's Embedding, with a faster gradient for lists of ids such as histories.

    Output and gradient are the same up to rounding. Where ids are lists,
    [batch, length], and the table has at most 65,536 rows, the gradient's slices of a
    row are summed before they leave the layer: to a tf.IndexedSlices that names each
    row once on Keras 2, to a gradient as large as the table on Keras 3, whose
    optimizers do not sum slices. Under XLA nothing differs.

    The class is called as Keras's because the names in its weight files come from it.

    Args:
        input_dim: Number of ids, at least 1.
        output_dim: Width of an embedding, at least 1.
        **kwargs: As of `tf.keras.layers.Embedding`.

    Call arguments:
        inputs: Integer ids [...], each in [0, input_dim).

    Returns:
        float [..., output_dim].

    Example:
        >>> layer = hgr_tf.layers.Embedding(8000, 16)
        >>> layer(tf.ones([2, 30], tf.int64)).shape
        TensorShape([2, 30, 16])
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: Any) -> None:
        super().__init__(input_dim, output_dim, **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Looks the ids up."""
        changed = getattr(self, "quantization_mode", None) or getattr(
            self, "lora_enabled", False
        )
        if changed:
            return super().call(inputs)
        table = plain_variable(self.embeddings)
        if not is_list_of_small_table(table, inputs):
            return super().call(inputs)
        return tf.cast(look_up_lists(table, inputs), self.compute_dtype)
