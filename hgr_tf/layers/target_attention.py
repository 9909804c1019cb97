"""TargetAttention: a history pooled by what it says about one target item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class TargetAttention(tf.keras.layers.Layer):
    """Weighted sum of a history's items, weighted by their relevance to a target.

    With target t [dim], items k_1..k_n [dim] of the history that are present, and
    hidden units:

        a_j = w^T relu(... relu(W [t; k_j; t * k_j] + b))
        pooled = Σ_j softmax_j(a_j) k_j

    Without hidden units a_j = t^T k_j / sqrt(dim). With `normalize=False` the
    scores themselves are the weights, so that a history of more relevant items
    gives a larger vector, as in the source. A row without any item gives zeros.

    The first product is computed in parts, W_t t + W_k k + W_x (t * k): the items'
    part does not depend on the target, and is computed once per history.

    Args:
        hidden_units: Units of the scoring network's ReLU layers; empty for the
            scaled dot product.
        normalize: Whether weights are a softmax over the items present.
        **kwargs: As of `tf.keras.layers.Layer`.

    Call arguments:
        target: float [batch, dim].
        keys: float [batch, length, dim], the items of the histories.
        ids: integer [batch, length], where 0 says that there is no item.

    Returns:
        float [batch, dim].

    Raises:
        ValueError: A number of units is not positive, or target and keys differ in
            width.

    Example:
        >>> attention = hgr_tf.layers.TargetAttention()
        >>> ids = tf.constant([[3, 5, 0], [0, 0, 0]])
        >>> attention(tf.ones([2, 4]), tf.ones([2, 3, 4]), ids).shape
        TensorShape([2, 4])

    Source: Zhou et al., "Deep Interest Network for Click-Through Rate Prediction",
    KDD 2018, arXiv:1706.06978.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (32,),
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if any(units < 1 for units in hidden_units):
            raise ValueError(f"`hidden_units` must be positive, got {hidden_units}")
        self.hidden_units = tuple(hidden_units)
        self.normalize = normalize

    def build(self, input_shape: Any) -> None:
        """Makes the scoring network."""
        width = input_shape[-1]
        self._parts: list[Any] = []
        self._hidden: list[Any] = []
        if self.hidden_units:
            first, *others = self.hidden_units
            names = ("target", "keys", "products")
            self._parts = [self._dense(first, width, f"{name}_part") for name in names]
            widths = [first, *others]
            for index, units in enumerate(others, start=1):
                before = widths[index - 1]
                self._hidden.append(self._dense(units, before, f"hidden_{index}"))
            self._hidden.append(self._dense(1, widths[-1], "score"))
        self.built = True

    def _dense(self, units: int, width: int, name: str) -> Any:
        layer = tf.keras.layers.Dense(units, name=name)
        layer.build((None, width))
        return layer

    def call(self, target: tf.Tensor, keys: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Pools the keys; see the class."""
        if target.shape[-1] != keys.shape[-1]:
            raise ValueError(
                "`target` and `keys` must be of one width, "
                f"got {target.shape[-1]} and {keys.shape[-1]}"
            )
        present = tf.not_equal(ids, 0)
        scores = tf.cast(self._scores(target, keys), tf.float32)
        if self.normalize:
            lowest = scores.dtype.min
            weights = tf.nn.softmax(tf.where(present, scores, lowest), axis=-1)
        else:
            weights = scores
        weights = tf.cast(tf.where(present, weights, 0.0), keys.dtype)
        return tf.einsum("bl,bld->bd", weights, keys)

    def _scores(self, target: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Scores [batch, length]."""
        if not self.hidden_units:
            width = tf.cast(tf.shape(keys)[-1], keys.dtype)
            return tf.einsum("bd,bld->bl", target, keys) / tf.sqrt(width)
        of_target, of_keys, of_products = self._parts
        target = target[:, None]
        hidden = of_target(target) + of_keys(keys) + of_products(target * keys)
        for layer in self._hidden:
            hidden = layer(tf.nn.relu(hidden))
        return hidden[..., 0]

    def compute_output_shape(self, target_shape: Any, *_: Any) -> Any:
        """The shape of the target."""
        return tuple(target_shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "normalize": self.normalize,
        }
