"""Experts: several networks side by side, and the gates that mix them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class Experts(tf.keras.layers.Layer):
    """Dense ReLU networks of one shape on one input, each with weights of its own.

    For expert e, with h_0 = x:

        h_l = relu(W_{e,l}^T h_{l-1} + b_{e,l})

    Args:
        num_experts: Number of networks.
        hidden_units: Units of the layers of each.

    Call arguments:
        inputs: float [batch, dim].

    Returns:
        float [batch, num_experts, hidden_units[-1]].
    """

    def __init__(
        self, num_experts: int, hidden_units: Sequence[int], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_experts = num_experts
        self.hidden_units = tuple(hidden_units)

    def build(self, input_shape: Any) -> None:
        """Makes a matrix and a bias for each layer, of all experts."""
        width = input_shape[-1]
        self._kernels, self._biases = [], []
        for index, units in enumerate(self.hidden_units, start=1):
            shape = (self.num_experts, width, units)
            self._kernels.append(
                self.add_weight(
                    name=f"kernel_{index}", shape=shape, initializer=self._glorot()
                )
            )
            self._biases.append(
                self.add_weight(
                    name=f"bias_{index}",
                    shape=(self.num_experts, units),
                    initializer="zeros",
                )
            )
            width = units
        self.built = True

    def _glorot(self) -> tf.keras.initializers.Initializer:
        """Glorot's range for each expert, whose axis Keras counts as inputs too."""
        return tf.keras.initializers.VarianceScaling(
            self.num_experts, "fan_avg", "uniform"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The output of each expert."""
        hidden, equation = inputs, "bi,eio->beo"
        for kernel, bias in zip(self._kernels, self._biases, strict=True):
            kernel, bias = (
                tf.cast(tf.convert_to_tensor(weight), hidden.dtype)
                for weight in (kernel, bias)
            )
            hidden = tf.nn.relu(tf.einsum(equation, hidden, kernel) + bias)
            equation = "bei,eio->beo"
        return hidden


class ExpertGate(tf.keras.layers.Layer):
    """A mean of experts, weighted by what a linear layer makes of the input.

    g = softmax(W^T x);  mixed = sum_e g_e expert_e

    Call arguments:
        inputs: float [batch, dim].
        experts: float [batch, num_experts, units].

    Returns:
        float [batch, units].
    """

    def __init__(self, num_experts: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_experts = num_experts

    def build(self, input_shape: Any) -> None:
        """Makes the linear layer of `inputs` of this shape."""
        self._scores = tf.keras.layers.Dense(
            self.num_experts, use_bias=False, name="scores"
        )
        self._scores.build(tuple(input_shape))
        self.built = True

    def call(self, inputs: tf.Tensor, experts: tf.Tensor) -> tf.Tensor:
        """The mixed experts."""
        weights = tf.nn.softmax(tf.cast(self._scores(inputs), tf.float32))
        return tf.einsum("be,beu->bu", tf.cast(weights, experts.dtype), experts)


def check_experts(hidden_units: Sequence[int], **counts: int) -> None:
    """Raises `ValueError` unless there are units, and units and counts are positive."""
    if not hidden_units or any(units < 1 for units in hidden_units):
        raise ValueError(
            f"`hidden_units` must be positive, at least one, got {hidden_units}"
        )
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"`{name}` must be at least 1, got {count}")
