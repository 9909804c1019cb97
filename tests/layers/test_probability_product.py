import numpy as np
import tensorflow as tf

from hgr_tf.layers import ProbabilityProduct
from tests.layers.gradients import gradient_of, numeric_gradient

LOGITS = np.random.default_rng(0).normal(size=(3, 20), scale=3)


def reference(logits):
    p = np.prod(1 / (1 + np.exp(-logits)), axis=0)
    return np.log(p) - np.log1p(-p)


def product(logits):
    return ProbabilityProduct()(tf.unstack(logits))


def test_outputs_and_gradients_are_those_of_the_formula():
    found = product(tf.constant(LOGITS, tf.float32))
    np.testing.assert_allclose(found, reference(LOGITS), rtol=1e-4, atol=1e-5)
    numeric = numeric_gradient(reference, LOGITS)
    np.testing.assert_allclose(gradient_of(product, LOGITS), numeric, atol=1e-4)


def test_probabilities_that_round_to_0_or_1_keep_their_logits():
    factors = np.float32([[100, -100, 100, -60], [100, -100, -100, 3]])
    found = product(tf.constant(factors))
    expected = [100 - np.log(2), -200, -100, -60 - np.log1p(np.exp(-3))]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    gradients = gradient_of(product, factors)
    # Each factor's share in (1 + e^-a) (1 + e^-b) - 1, and that of their product.
    shares = [[0.5, 1, 0, 1], [0.5, 1, 1, 1 / (1 + np.exp(3))]]
    np.testing.assert_allclose(gradients, shares, atol=1e-6)


def test_half_precision_inputs_are_multiplied_in_float32():
    found = product(tf.constant([[9.0], [9.0]], tf.float16))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, reference(np.array([[9.0], [9.0]])), rtol=1e-5)
