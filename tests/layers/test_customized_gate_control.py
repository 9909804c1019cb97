import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import CustomizedGateControl
from tests.layers.experts_reference import experts_of, mixed
from tests.layers.gradients import gradient_of, numeric_gradient

X = np.random.default_rng(0).normal(size=(3, 4, 3))


def reference(layer, inputs):
    pairs = zip(layer._experts, inputs, strict=True)
    *of_tasks, shared = [experts_of(experts, x) for experts, x in pairs]
    seen = [np.concatenate([own, shared], axis=1) for own in of_tasks]
    seen.append(np.concatenate([*of_tasks, shared], axis=1))
    triples = zip(layer._gates, inputs, seen, strict=False)
    return [mixed(gate, x, experts) for gate, x, experts in triples]


@pytest.mark.parametrize("shared_gate", [False, True])
def test_outputs_and_gradients_are_those_of_the_formula(shared_gate):
    layer = CustomizedGateControl(2, 1, 3, (5,), shared_gate)
    outputs = layer(tf.unstack(tf.constant(X, tf.float32)))
    assert len(outputs) == 2 + shared_gate
    for found, wanted in zip(outputs, reference(layer, X), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    numeric = numeric_gradient(lambda x: np.sum(reference(layer, x)), X)
    found = gradient_of(lambda x: layer(tf.unstack(x)), X)
    np.testing.assert_allclose(found, numeric, atol=1e-4)


def test_a_task_sees_no_experts_of_another():
    layer = CustomizedGateControl(2)
    inputs = tf.unstack(tf.constant(X, tf.float32))
    first, second = layer(inputs)
    others = layer([inputs[0] + 1.0, *inputs[1:]])
    assert np.abs(others[0] - first).max() > 0
    np.testing.assert_array_equal(others[1], second)


@pytest.mark.parametrize("count", [2, 4])
def test_other_numbers_of_inputs_are_refused(count):
    with pytest.raises(ValueError, match=f"must be a list of 3 tensors.*got {count}"):
        CustomizedGateControl(2)([tf.ones([1, 2])] * count)


@pytest.mark.parametrize("name", ["num_tasks", "task_experts", "shared_experts"])
def test_counts_must_be_positive(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        CustomizedGateControl(**{"num_tasks": 2, name: 0})
