"""RowEmbedding: an embedding whose gradient is the rows that a batch looks up."""

from __future__ import annotations

from typing import Any, Literal

import tensorflow as tf

from hgr_tf.compat import plain_variable
from hgr_tf.layers.embedding import Embedding


@tf.keras.utils.register_keras_serializable("hgr_tf")
class RowEmbedding(Embedding):
    """Keras's Embedding, with a gradient of rows on both generations of Keras.

    The output is the same. On Keras 3 the stock layer makes the gradient as large
    as the table, which costs 30 times the step at ten million ids; here it is a
    tf.IndexedSlices of the rows that were looked up, as on Keras 2. What a step
    then costs is the optimizer's: `hgr_tf.optimizers.LazyAdam` and
    `RowwiseAdagrad` touch only these rows, Keras's own Adam touches all. For lists
    of ids in a small table the gradient is as cheap as that of
    `hgr_tf.layers.Embedding`.

    The penalty of a batch is l2 * sum over its distinct ids of ||e_id||^2. A
    regularizer of the whole table would touch every row.

    Args:
        input_dim: Number of ids, at least 1.
        output_dim: Width of an embedding, at least 1.
        l2: Weight of the penalty of the rows that are looked up, at least 0.
        **kwargs: As of `tf.keras.layers.Embedding`.

    Call arguments:
        inputs: Integer ids [...], each in [0, input_dim).
        pooling: As of `hgr_tf.layers.Embedding`.

    Returns:
        float [..., output_dim], without the axis of the lists where they are pooled.

    Raises:
        ValueError: `l2` is negative.

    Example:
        >>> layer = hgr_tf.layers.RowEmbedding(10_000_000, 16, l2=1e-6)
        ... # doctest: +SKIP
    """

    _gives_rows = True

    def __init__(
        self, input_dim: int, output_dim: int, l2: float = 0.0, **kwargs: Any
    ) -> None:
        if l2 < 0:
            raise ValueError(f"`l2` must be at least 0, got {l2}")
        super().__init__(input_dim, output_dim, **kwargs)
        self.l2 = l2

    def call(
        self, inputs: tf.Tensor, pooling: Literal["mean"] | None = None
    ) -> tf.Tensor:
        """Looks the ids up, and adds the penalty of their rows."""
        ids = inputs
        if not tf.as_dtype(ids.dtype).is_integer:
            ids = tf.cast(ids, tf.int32)
        if self.l2:
            distinct, _ = tf.unique(tf.reshape(ids, [-1]))
            rows = self._rows(distinct)
            self.add_loss(self.l2 * tf.reduce_sum(tf.square(rows)))
        return super().call(ids, pooling)

    def _look_up(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._rows(ids), self.compute_dtype)

    def _rows(self, ids: tf.Tensor) -> tf.Tensor:
        # As tf.gather, which would read all shards of a table on parameter servers.
        return tf.nn.embedding_lookup(plain_variable(self.embeddings), ids)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "l2": self.l2}
