"""MultiGateMixtureOfExperts: shared experts, mixed for each task by its own gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from hgr_tf.layers.experts import ExpertGate, Experts, check_experts


@tf.keras.utils.register_keras_serializable("hgr_tf")
class MultiGateMixtureOfExperts(tf.keras.layers.Layer):
    """MMoE: several tasks share experts, and each has a gate that mixes them.

    For task k, with the experts f_e, dense ReLU networks of the same input:

        g_k = softmax(W_k^T x);  y_k = sum_e g_{k,e} f_e(x)

    With one task this is a plain mixture of experts.

    Args:
        num_tasks: Number of tasks, each with a gate.
        num_experts: Number of experts.
        hidden_units: Units of each expert's layers.
        **kwargs: As of `tf.keras.layers.Layer`.

    Call arguments:
        inputs: float [batch, dim].

    Returns:
        A list with float [batch, hidden_units[-1]] for each task.

    Raises:
        ValueError: A number is not positive.

    Example:
        >>> mmoe = hgr_tf.layers.MultiGateMixtureOfExperts(2, 4, (8,))
        >>> click, purchase = mmoe(tf.ones([3, 5]))
        >>> click.shape
        TensorShape([3, 8])

    Source: Ma et al., "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts", KDD 2018.
    """

    def __init__(
        self,
        num_tasks: int,
        num_experts: int = 4,
        hidden_units: Sequence[int] = (64,),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_experts(hidden_units, num_tasks=num_tasks, num_experts=num_experts)
        self.num_tasks = num_tasks
        self.num_experts = num_experts
        self.hidden_units = tuple(hidden_units)

    def build(self, input_shape: Any) -> None:
        """Makes the experts and the gates."""
        self._experts = Experts(self.num_experts, self.hidden_units, name="experts")
        self._gates = [
            ExpertGate(self.num_experts, name=f"gate_{index}")
            for index in range(1, self.num_tasks + 1)
        ]
        parts: list[Any] = [self._experts, *self._gates]
        for layer in parts:
            layer.build(tuple(input_shape))
        self.built = True

    def call(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """The mixed experts of each task."""
        experts = self._experts(inputs)
        return [gate(inputs, experts) for gate in self._gates]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_experts": self.num_experts,
            "hidden_units": list(self.hidden_units),
        }
