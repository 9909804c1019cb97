"""Experts and gates in plain numpy."""

import numpy as np


def experts_of(layer, x):
    """[batch, num_experts, units] of an `Experts` layer."""
    outputs = []
    for index in range(layer.num_experts):
        hidden = x
        for kernel, bias in zip(layer._kernels, layer._biases, strict=True):
            kernel, bias = np.asarray(kernel)[index], np.asarray(bias)[index]
            hidden = np.maximum(hidden @ kernel.astype(float) + bias, 0)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def mixed(gate, x, experts):
    """[batch, units] of an `ExpertGate` layer."""
    scores = np.exp(x @ np.asarray(gate._scores.kernel).astype(float))
    weights = scores / scores.sum(axis=1, keepdims=True)
    return np.sum(weights[:, :, None] * experts, axis=1)
