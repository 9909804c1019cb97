"""TargetAttention: a history pooled by what it says about one target item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf


class AttendedHistories(NamedTuple):
    """What `TargetAttention` computes of histories once, whatever the targets.

    Attributes:
        keys: [batch, length, dim].
        present: bool [batch, length].
        first_layer: [batch, dim + 1, length * units], which turns a target with a 1
            behind it into the first hidden units of each key; None without any.
    """

    keys: tf.Tensor
    present: tf.Tensor
    first_layer: tf.Tensor | None


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

    Where many targets meet one history, as when a request's items are scored,
    `of_histories` and `attend` give what a call with each target gives, without a
    copy of the history for each. The first hidden units are linear in the target,

        W_t t + W_k k_j + W_x (t * k_j) + b = (W_t + W_x diag(k_j)) t + (W_k k_j + b)

    so that for all keys of a history they are one matrix, made once, times each
    target.

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
        scores = self._scores(target, keys)
        weights = self._weights(scores, tf.not_equal(ids, 0))
        return tf.einsum("bl,bld->bd", tf.cast(weights, keys.dtype), keys)

    def of_histories(self, keys: tf.Tensor, ids: tf.Tensor) -> AttendedHistories:
        """What `attend` needs of histories; the layer must have been called before.

        Args:
            keys: float [batch, length, dim], the items of the histories.
            ids: integer [batch, length], where 0 says that there is no item.
        """
        keys = tf.cast(keys, self.compute_dtype)
        first_layer = self._first_layer(keys) if self.hidden_units else None
        return AttendedHistories(keys, tf.not_equal(ids, 0), first_layer)

    def attend(self, histories: AttendedHistories, targets: tf.Tensor) -> tf.Tensor:
        """Pools each history for each of n targets, [batch, n, dim].

        Args:
            histories: What `of_histories` returned.
            targets: float [batch, n, dim].
        """
        targets = tf.cast(targets, self.compute_dtype)
        scores = self._scores_of_many(histories, targets)
        weights = self._weights(scores, histories.present[:, None])
        return tf.matmul(tf.cast(weights, self.compute_dtype), histories.keys)

    def _weights(self, scores: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """float32 weights of keys, given their scores [..., length]."""
        weights = tf.cast(scores, tf.float32)
        if self.normalize:
            lowest = weights.dtype.min
            weights = tf.nn.softmax(tf.where(present, weights, lowest), axis=-1)
        return tf.where(present, weights, 0.0)

    def _scores(self, target: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Scores [batch, length]."""
        if not self.hidden_units:
            width = tf.cast(tf.shape(keys)[-1], keys.dtype)
            return tf.einsum("bd,bld->bl", target, keys) / tf.sqrt(width)
        of_target, of_keys, of_products = self._parts
        target = target[:, None]
        hidden = of_target(target) + of_keys(keys) + of_products(target * keys)
        return self._scores_of_hidden(hidden)

    def _first_layer(self, keys: tf.Tensor) -> tf.Tensor:
        """The matrices of `AttendedHistories`."""
        of_target, of_keys, of_products = self._parts
        batch, length, width = tf.unstack(tf.shape(keys))
        dtype, units = of_target.compute_dtype, self.hidden_units[0]
        by_key = tf.cast(tf.transpose(keys, [0, 2, 1])[..., None], dtype)
        by_key *= tf.cast(of_products.kernel, dtype)[:, None]
        by_key += tf.cast(of_target.kernel, dtype)[:, None]
        constant = of_keys(keys) + tf.cast(of_target.bias + of_products.bias, dtype)
        rows = [
            tf.reshape(by_key, [batch, width, length * units]),
            tf.reshape(constant, [batch, 1, length * units]),
        ]
        return tf.concat(rows, axis=1)

    def _scores_of_many(
        self, histories: AttendedHistories, targets: tf.Tensor
    ) -> tf.Tensor:
        """Scores [batch, n, length]."""
        keys, first_layer = histories.keys, histories.first_layer
        if first_layer is None:
            width = tf.cast(tf.shape(keys)[-1], keys.dtype)
            return tf.matmul(targets, keys, transpose_b=True) / tf.sqrt(width)
        targets = tf.cast(targets, first_layer.dtype)
        targets = tf.concat([targets, tf.ones_like(targets[..., :1])], axis=-1)
        hidden = tf.matmul(targets, first_layer)
        scores = self._scores_of_hidden(tf.reshape(hidden, [-1, self.hidden_units[0]]))
        batch, n, _ = tf.unstack(tf.shape(targets))
        return tf.reshape(scores, [batch, n, tf.shape(keys)[1]])

    def _scores_of_hidden(self, hidden: tf.Tensor) -> tf.Tensor:
        """Scores [...] given the first hidden units [..., units] before their ReLU."""
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
