"""SideTower: logits plus what a feature that only training knows explains of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class SideTower(tf.keras.layers.Layer):
    """Adds a feature's effect to logits in training, and a constant's otherwise.

        logits + effect(x)    in training
        logits + effect(c)    otherwise; the logits alone without a constant c

    effect(x) = w^T relu(W e(x) + b), where e(x) is an embedding of an id, or the number
    itself. What moves the label and is no merit of the item, such as its position on
    the page, is so explained beside the ranker, whose own logits are left with the
    rest. When serving, the feature is not known, and is not looked at.

    Args:
        num_ids: Number of ids of the feature; None where it is a number.
        constant: The id, or the number, that stands for it when not training.
        embedding_dim: Width of an id's embedding.
        units: Units of the ReLU layers.
        **kwargs: As of every Keras layer. The layer computes in float32.

    Call arguments:
        logits: float [batch, 1].
        values: [batch], integer ids or floats.
        training: Whether the values are looked at.

    Returns:
        float32 [batch, 1].

    Raises:
        ValueError: A size is not positive, or the constant is no id.

    Example:
        >>> tower = hgr_tf.layers.SideTower(num_ids=12, constant=2)
        >>> tower(tf.zeros([2, 1]), tf.constant([2, 7]), training=True).shape
        TensorShape([2, 1])

    Source: Zhao et al., "Recommending What Video to Watch Next: A Multitask Ranking
    System", RecSys 2019, section 4.3 (a shallow tower beside the main one); Guo et al.,
    "PAL: A Position-bias Aware Learning Framework for CTR Prediction in Live
    Recommender Systems", RecSys 2019, multiplies probabilities instead.
    """

    def __init__(
        self,
        num_ids: int | None,
        constant: float | None = None,
        embedding_dim: int = 8,
        units: Sequence[int] = (16,),
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        for name, size in (
            ("num_ids", 1 if num_ids is None else num_ids),
            ("embedding_dim", embedding_dim),
            *(("units", width) for width in units),
        ):
            if size < 1:
                raise ValueError(f"`{name}` must be at least 1, got {size}")
        is_id = num_ids is None or constant is None or constant in range(num_ids)
        if not is_id:
            raise ValueError(
                f"`constant` must be an id under {num_ids}, got {constant!r}"
            )
        self.num_ids = num_ids
        self.constant = constant
        self.embedding_dim = embedding_dim
        self.units = tuple(units)
        layers = tf.keras.layers
        self._embedding = None
        if num_ids is not None:
            self._embedding = layers.Embedding(
                num_ids, embedding_dim, dtype="float32", name="side_embedding"
            )
        self._hidden = [
            layers.Dense(width, "relu", dtype="float32", name=f"side_dense_{index}")
            for index, width in enumerate(self.units, start=1)
        ]
        # The bias is the ranker's own.
        self._last = layers.Dense(
            1, use_bias=False, dtype="float32", name="side_logits"
        )

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        width = 1
        if self._embedding is not None:
            self._embedding.build((None,))
            width = self.embedding_dim
        for layer in (*self._hidden, self._last):
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(
        self, logits: tf.Tensor, values: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Adds an effect to the logits; see the class."""
        logits = tf.cast(logits, tf.float32)
        if training:
            return logits + self._effect(values)
        return logits if self.constant is None else logits + self.offset

    @property
    def offset(self) -> tf.Tensor:
        """float32 [1, 1]: what is added when not training; 0 without a constant."""
        if self.constant is None:
            return tf.zeros([1, 1])
        return self._effect(tf.constant([self.constant]))

    def _effect(self, values: tf.Tensor) -> tf.Tensor:
        if self._embedding is None:
            hidden = tf.cast(values, tf.float32)[:, None]
        else:
            hidden = self._embedding(values)
        for layer in self._hidden:
            hidden = layer(hidden)
        return self._last(hidden)

    def compute_output_shape(self, logits_shape: Any, *_: Any) -> Any:
        """The shape of the logits."""
        return tuple(logits_shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_ids": self.num_ids,
            "constant": self.constant,
            "embedding_dim": self.embedding_dim,
            "units": list(self.units),
        }
