"""CustomizedGateControl: experts of each task and shared ones, as in PLE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from hgr_tf.layers.experts import ExpertGate, Experts, check_experts


@tf.keras.utils.register_keras_serializable("hgr_tf")
class CustomizedGateControl(tf.keras.layers.Layer):
    """CGC: each task has experts of its own beside shared ones, and a gate for both.

    For task k with input x_k, its experts E_k and the shared ones E_s, dense ReLU
    networks of x_k and of the shared input x_s:

        S_k = [E_k(x_k), E_s(x_s)];  y_k = softmax(W_k^T x_k) S_k

    With a shared gate there is one more output, mixed from the experts of all tasks
    and the shared ones by softmax(W_s^T x_s). Its layer can be followed by another,
    which is progressive layered extraction (PLE); the last one needs no shared gate.

    Args:
        num_tasks: Number of tasks.
        task_experts: Experts of each task.
        shared_experts: Experts that all tasks share.
        hidden_units: Units of each expert's layers.
        shared_gate: Whether there is a shared output, for another layer.
        **kwargs: As of `tf.keras.layers.Layer`.

    Call arguments:
        inputs: A list of `num_tasks` + 1 tensors, float [batch, dim]: those of the
            tasks, then the shared one; the same one several times at the first layer.

    Returns:
        A list with float [batch, hidden_units[-1]] for each task, and the shared one
        last if there is a shared gate.

    Raises:
        ValueError: A number is not positive, or there are other inputs.

    Example:
        >>> first = hgr_tf.layers.CustomizedGateControl(2, shared_gate=True)
        >>> last = hgr_tf.layers.CustomizedGateControl(2)
        >>> x = tf.ones([3, 5])
        >>> click, purchase = last(first([x, x, x]))
        >>> click.shape
        TensorShape([3, 64])

    Source: Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task
    Learning (MTL) Model for Personalized Recommendations", RecSys 2020.
    """

    def __init__(
        self,
        num_tasks: int,
        task_experts: int = 2,
        shared_experts: int = 2,
        hidden_units: Sequence[int] = (64,),
        shared_gate: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_experts(
            hidden_units,
            num_tasks=num_tasks,
            task_experts=task_experts,
            shared_experts=shared_experts,
        )
        self.num_tasks = num_tasks
        self.task_experts = task_experts
        self.shared_experts = shared_experts
        self.hidden_units = tuple(hidden_units)
        self.shared_gate = shared_gate

    def build(self, input_shape: Any) -> None:
        """Makes the experts and the gates for inputs of these shapes."""
        if len(input_shape) != self.num_tasks + 1:
            raise ValueError(
                f"`inputs` must be a list of {self.num_tasks + 1} tensors, those of "
                f"the tasks and a shared one, got {len(input_shape)}"
            )
        tasks, own, shared = self.num_tasks, self.task_experts, self.shared_experts
        self._experts = [
            Experts(count, self.hidden_units, name=f"experts_{index}")
            for index, count in enumerate([own] * tasks + [shared], start=1)
        ]
        of_gates = [own + shared] * tasks
        if self.shared_gate:
            of_gates.append(tasks * own + shared)
        self._gates = [
            ExpertGate(count, name=f"gate_{index}")
            for index, count in enumerate(of_gates, start=1)
        ]
        parts: list[list[Any]] = [[*self._experts], [*self._gates]]
        for layers in parts:
            for layer, shape in zip(layers, input_shape, strict=False):
                layer.build(tuple(shape))
        self.built = True

    def call(self, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The mixed experts of each task."""
        pairs = zip(self._experts, inputs, strict=True)
        *of_tasks, shared = (experts(x) for experts, x in pairs)
        mixed = [tf.concat([own, shared], axis=1) for own in of_tasks]
        if self.shared_gate:
            mixed.append(tf.concat([*of_tasks, shared], axis=1))
        triples = zip(self._gates, inputs, mixed, strict=False)
        return [gate(x, experts) for gate, x, experts in triples]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "task_experts": self.task_experts,
            "shared_experts": self.shared_experts,
            "hidden_units": list(self.hidden_units),
            "shared_gate": self.shared_gate,
        }
