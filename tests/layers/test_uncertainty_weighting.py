import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import UncertaintyWeighting

ALL = tf.constant([True, True])


def train(weighting, optimizer, losses, steps):
    for _ in range(steps):
        with tf.GradientTape() as tape:
            total = weighting(losses, ALL, training=True)
        gradients = tape.gradient(total, weighting.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, weighting.trainable_variables, strict=True)
        )
    return float(total)


def test_starts_at_its_optimum():
    weighting = UncertaintyWeighting(2)
    total = weighting(tf.constant([0.5, 4.0]), ALL, training=True)
    log_sigma = 0.5 * np.log([0.5, 4.0])
    np.testing.assert_allclose(weighting.log_sigma, log_sigma, rtol=1e-6)
    np.testing.assert_allclose(total, 1.0 + log_sigma.sum(), rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_learning_rate_is_scaled_once_for_every_optimizer(name, scale):
    weighting = UncertaintyWeighting(2, learning_rate_scale=scale)
    weighting(tf.constant([1.0, 1.0]), ALL, training=True)
    optimizer = getattr(tf.keras.optimizers, name)(1e-3)
    train(weighting, optimizer, tf.constant([2.0, 2.0]), steps=1)
    # At log sigma 0 and loss 2 the gradient is 1 - 2 = -1, for Adam its sign.
    np.testing.assert_allclose(weighting.log_sigma, scale * 1e-3, rtol=1e-3)


@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0])
def test_large_steps_and_a_tiny_first_loss_stay_bounded(rate):
    weighting = UncertaintyWeighting(2)
    weighting(tf.constant([1e-4, 0.7]), ALL, training=True)
    optimizer = tf.keras.optimizers.SGD(rate)
    train(weighting, optimizer, tf.constant([0.0, 0.0]), steps=20)
    total = train(weighting, optimizer, tf.constant([0.7, 0.7]), steps=1)
    # At the most e^2 times the weight of the start, 1 / (2 max(loss, 0.01)).
    assert abs(total) < 0.5 * 0.7 * np.exp(2) * (1 / 0.01 + 1 / 0.7)
