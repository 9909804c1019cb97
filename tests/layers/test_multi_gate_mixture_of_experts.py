import numpy as np
import pytest

from hgr_tf.layers import MultiGateMixtureOfExperts
from tests.layers.experts_reference import experts_of, mixed
from tests.layers.gradients import gradient_of, numeric_gradient

X = np.random.default_rng(0).normal(size=(4, 3))


def reference(layer, x):
    experts = experts_of(layer._experts, x)
    return [mixed(gate, x, experts) for gate in layer._gates]


@pytest.mark.parametrize("hidden_units", [(5,), (5, 2)])
def test_outputs_and_gradients_are_those_of_the_formula(hidden_units):
    layer = MultiGateMixtureOfExperts(2, 3, hidden_units)
    outputs = layer(X.astype(np.float32))
    expected = reference(layer, X)
    assert len(outputs) == 2
    for found, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    numeric = numeric_gradient(lambda x: np.sum(reference(layer, x)), X)
    np.testing.assert_allclose(gradient_of(layer, X), numeric, atol=1e-4)


def test_experts_start_in_the_range_of_a_dense_layer():
    layer = MultiGateMixtureOfExperts(2, 8, (40,))
    layer.build((None, 60))
    (kernel,) = layer._experts._kernels
    highest = np.abs(np.asarray(kernel)).max(axis=(1, 2))
    np.testing.assert_allclose(highest, np.sqrt(6 / 100), rtol=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "`num_tasks` must be at least 1, got 0"),
        ((2, 0), "`num_experts` must be at least 1, got 0"),
        ((2, 3, ()), r"`hidden_units` must be positive, at least one, got \(\)"),
        ((2, 3, (4, 0)), r"`hidden_units` must be positive, .*got \(4, 0\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiGateMixtureOfExperts(*arguments)
