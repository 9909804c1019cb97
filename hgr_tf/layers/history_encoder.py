"""HistoryEncoder: self-attention over what a user did, with positions and gaps."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class HistoryEncoder(tf.keras.layers.Layer):
    """Transformer encoder of a history: each item is seen beside the others.

    With items k_j [dim], their positions p_j counted from the newest (0), and the
    seconds g_j that lie between the row and each event:

        x_j = k_j + P[p_j] + W log(1 + g_j)
        x <- LN(x + MultiHeadAttention(x, x, x)); x <- LN(x + W_2 relu(W_1 x))

    the second line `num_layers` times. Items that are not there attend to nothing,
    are not attended to, and come out as zeros.

    Args:
        num_layers: Encoder layers, at least 1.
        num_heads: Heads of each; the width must be a multiple of it.
        max_length: Longest history; a position at or above it counts as the last.
        hidden_units: Units of W_1; None for 4 times the width.
        newest_first: Whether the first item of a row is the newest; otherwise the
            last one is.
        time_gaps: Whether the gaps are given and seen.
        dropout: Dropout of attention weights and of each layer's outputs, in [0, 1).
        **kwargs: As of `tf.keras.layers.Layer`.

    Call arguments:
        keys: float [batch, length, dim].
        ids: integer [batch, length], where 0 says that there is no item. Such
            padding may lie anywhere in a row.
        gaps: float seconds [batch, length], at least 0; with `time_gaps`.
        training: Whether dropout is applied.

    Returns:
        float [batch, length, dim].

    Raises:
        ValueError: An argument is out of its range, or the width is no multiple of
            `num_heads`.

    Example:
        >>> encoder = hgr_tf.layers.HistoryEncoder(max_length=3)
        >>> encoder(tf.ones([2, 3, 4]), tf.constant([[3, 5, 0], [0, 0, 0]])).shape
        TensorShape([2, 3, 4])

    Source: Chen et al., "Behavior Sequence Transformer", arXiv:1905.06874; Vaswani
    et al., arXiv:1706.03762.
    """

    def __init__(
        self,
        num_layers: int = 1,
        num_heads: int = 2,
        max_length: int = 50,
        hidden_units: int | None = None,
        newest_first: bool = True,
        time_gaps: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (
            ("num_layers", num_layers),
            ("num_heads", num_heads),
            ("max_length", max_length),
            ("hidden_units", 1 if hidden_units is None else hidden_units),
        ):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {dropout}")
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.max_length = max_length
        self.hidden_units = hidden_units
        self.newest_first = newest_first
        self.time_gaps = time_gaps
        self.dropout = dropout

    def build(self, input_shape: Any) -> None:
        """Makes the position table and the encoder layers."""
        width = input_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"the width of the keys, {width}, must be a multiple of `num_heads`, "
                f"{self.num_heads}"
            )
        layers = tf.keras.layers
        self._positions = self.add_weight(
            name="positions",
            shape=(self.max_length, width),
            initializer=tf.keras.initializers.RandomNormal(stddev=0.02),
        )
        self._gaps: tf.keras.layers.Layer = None
        if self.time_gaps:
            self._gaps = layers.Dense(width, name="gaps")
            self._gaps.build((None, None, 1))
        self._blocks = [
            _EncoderBlock(
                self.num_heads,
                self.hidden_units or 4 * width,
                self.dropout,
                name=f"block_{index}",
            )
            for index in range(1, self.num_layers + 1)
        ]
        for block in self._blocks:
            block.build(input_shape)
        self.built = True

    def call(
        self,
        keys: tf.Tensor,
        ids: tf.Tensor,
        gaps: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Encodes the items; see the class."""
        if (gaps is None) == self.time_gaps:
            raise ValueError(
                "`gaps` must be given with `time_gaps`, and only then, "
                f"got {gaps} with time_gaps={self.time_gaps}"
            )
        present = tf.not_equal(ids, 0)
        table = tf.cast(tf.convert_to_tensor(self._positions), keys.dtype)
        x = keys + tf.gather(table, self._places(present))
        if gaps is not None:
            x += self._gaps(tf.math.log1p(tf.cast(gaps, keys.dtype))[..., None])
        for block in self._blocks:
            x = block(x, present, training=training)
        return tf.where(present[..., None], x, tf.zeros_like(x))

    def _places(self, present: tf.Tensor) -> tf.Tensor:
        """Positions [batch, length]: how many newer items there are."""
        newer = tf.cumsum(
            tf.cast(present, tf.int32),
            axis=1,
            exclusive=True,
            reverse=not self.newest_first,
        )
        return tf.minimum(newer, self.max_length - 1)

    def compute_output_shape(self, keys_shape: Any, *_: Any) -> Any:
        """The shape of the keys."""
        return tuple(keys_shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "max_length": self.max_length,
            "hidden_units": self.hidden_units,
            "newest_first": self.newest_first,
            "time_gaps": self.time_gaps,
            "dropout": self.dropout,
        }


class _EncoderBlock(tf.keras.layers.Layer):
    """Attention and a feed-forward network, each added and normalized."""

    def __init__(
        self, num_heads: int, hidden_units: int, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._num_heads = num_heads
        self._hidden_units = hidden_units
        self._dropout = tf.keras.layers.Dropout(dropout)

    def build(self, input_shape: Any) -> None:
        """Makes the layers for keys of this shape."""
        layers, width = tf.keras.layers, input_shape[-1]
        # Keras 2's MultiHeadAttention has no weights before its first call, and so
        # cannot be loaded from a file inside of another layer.
        self._queries_keys_values = layers.Dense(3 * width, name="queries_keys_values")
        self._attended = layers.Dense(width, name="attended")
        self._hidden = layers.Dense(self._hidden_units, "relu", name="hidden")
        self._output = layers.Dense(width, name="output")
        self._norms = [layers.LayerNormalization(name=f"norm_{i}") for i in (1, 2)]
        shape = (None, None, width)
        for layer in (self._queries_keys_values, self._attended, self._hidden):
            layer.build(shape)
        self._output.build((None, None, self._hidden_units))
        for norm in self._norms:
            norm.build(shape)
        self.built = True

    def call(
        self, x: tf.Tensor, present: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Encodes [batch, length, dim]; items that are not present are not seen."""
        seen = self._attended(self._attend(x, present, training))
        x = self._norms[0](x + self._dropout(seen, training=training))
        hidden = self._output(self._hidden(x))
        return self._norms[1](x + self._dropout(hidden, training=training))

    def _attend(self, x: tf.Tensor, present: tf.Tensor, training: Any) -> tf.Tensor:
        shape = tf.shape(x)
        width = x.shape[-1]
        heads = (shape[0], shape[1], 3, self._num_heads, width // self._num_heads)
        q, k, v = tf.unstack(tf.reshape(self._queries_keys_values(x), heads), axis=2)
        scores = tf.einsum("bqhd,bkhd->bhqk", q, k) * (width // self._num_heads) ** -0.5
        scores = tf.cast(scores, tf.float32)
        scores = tf.where(present[:, None, None], scores, scores.dtype.min)
        weights = tf.cast(tf.nn.softmax(scores), x.dtype)
        weights = self._dropout(weights, training=training)
        return tf.reshape(tf.einsum("bhqk,bkhd->bqhd", weights, v), shape)
