"""Embedding: Keras's, at a fraction of the cost for the lists of a training step."""

from __future__ import annotations

from typing import Any, Literal

import tensorflow as tf

from hgr_tf.compat import KERAS_3, plain_variable
from hgr_tf.distribute import has_parameter_servers
from hgr_tf.layers.list_lookup import (
    is_list_of_small_table,
    look_up_lists,
    mean_of_lists,
)
from hgr_tf.layers.masked_mean import masked_mean


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
        pooling: "mean" for the mean of each list [..., length] over its ids that are
            not 0, as `MaskedMean` gives it, at a lower cost in training.

    Returns:
        float [..., output_dim], without the axis of the lists where they are pooled.

    Raises:
        ValueError: `pooling` is none of these, or given with `mask_zero`.

    Example:
        >>> layer = hgr_tf.layers.Embedding(8000, 16)
        >>> layer(tf.ones([2, 30], tf.int64)).shape
        TensorShape([2, 30, 16])
    """

    _gives_rows = not KERAS_3
    """Whether the gradient of lists names rows; see `look_up_lists`. Keras 3's
    optimizers do not sum the slices of several look-ups in one table."""

    def __init__(self, input_dim: int, output_dim: int, **kwargs: Any) -> None:
        super().__init__(input_dim, output_dim, **kwargs)

    def call(
        self, inputs: tf.Tensor, pooling: Literal["mean"] | None = None
    ) -> tf.Tensor:
        """Looks the ids up; see the class."""
        if pooling not in (None, "mean"):
            raise ValueError(f"`pooling` must be None or 'mean', got {pooling!r}")
        if pooling and self.mask_zero:
            raise ValueError(
                "`pooling` leaves ids of 0 out, and its output has no mask: "
                "`mask_zero` must be False, got True"
            )
        if self._is_list_of_small_table(inputs):
            look_up = look_up_lists if pooling is None else mean_of_lists
            table = plain_variable(self.embeddings)
            vectors = look_up(table, inputs, rows=self._gives_rows)
            return tf.cast(vectors, self.compute_dtype)
        vectors = self._look_up(inputs)
        return vectors if pooling is None else masked_mean(vectors, inputs)

    def _is_list_of_small_table(self, ids: tf.Tensor) -> bool:
        changed = getattr(self, "quantization_mode", None) or getattr(
            self, "lora_enabled", False
        )
        # The faster gradient reads the whole table, here over the network.
        return not (changed or has_parameter_servers()) and is_list_of_small_table(
            plain_variable(self.embeddings), ids
        )

    def _look_up(self, ids: tf.Tensor) -> tf.Tensor:
        """The lookup of everything else."""
        return super().call(ids)

    def compute_output_spec(
        self, inputs: Any, pooling: Literal["mean"] | None = None
    ) -> Any:
        """Shape and dtype of the output, for Keras 3."""
        spec = super().compute_output_spec(inputs)
        if pooling is None:
            return spec
        *outer, _, dim = spec.shape
        return tf.keras.KerasTensor((*outer, dim), dtype=spec.dtype)
