"""The shared test case must find what it is there to find."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import add_state
from hgr_tf.testing import TestCase as SharedTestCase

ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class Scale(tf.keras.layers.Layer):
    """A layer that passes; the broken ones below differ in one thing each."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.bias = self.add_weight(name="bias", shape=(), initializer="ones")
        super().build(input_shape)

    def call(self, inputs, training=False):
        return self.factor * inputs + tf.cast(self.bias, inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class WithoutConfig(Scale):
    def get_config(self):
        return tf.keras.layers.Layer.get_config(self)


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class WithoutGradient(Scale):
    def call(self, inputs):
        return super().call(tf.stop_gradient(inputs))


class Unregistered(Scale):
    pass


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class EagerOnly(Scale):
    def call(self, inputs):
        return super().call(inputs) + (0.0 if tf.executing_eagerly() else 1.0)


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class OverflowsInHalfPrecision(Scale):
    def call(self, inputs):
        return super().call(inputs) * 1e4 * 1e4


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class DiffersBetweenReplicas(Scale):
    def build(self, input_shape):
        self.mean = add_state(self, "mean", ())
        super().build(input_shape)

    def call(self, inputs, training=False):
        if training:
            self.mean.assign(tf.reduce_mean(inputs))
        return super().call(inputs)


def test_good_layer_passes():
    SharedTestCase().run_layer_test(lambda: Scale(2.0), (ROWS,))


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        (WithoutConfig, "argument 'factor' is not in the config"),
        (WithoutGradient, "None"),
        (EagerOnly, "Not equal to tolerance"),
        (OverflowsInHalfPrecision, "inf"),
    ],
)
def test_broken_layer_fails(broken, finding):
    with pytest.raises(AssertionError, match=finding):
        SharedTestCase().run_layer_test(lambda: broken(2.0), (ROWS,))


def test_layer_that_no_file_can_restore_fails():
    with pytest.raises((TypeError, ValueError)):
        SharedTestCase().run_layer_test(lambda: Unregistered(2.0), (ROWS,))


def test_replicas_that_drift_apart_fail():
    layer_test = SharedTestCase().run_layer_test
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        layer_test(lambda: DiffersBetweenReplicas(2.0), (ROWS,))


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class Total(tf.keras.metrics.Metric):
    """A metric that passes: the weighted sum of the predictions."""

    def __init__(self, name="total", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_weight(name="total", shape=(), initializer="zeros")

    def update_state(self, y_pred, sample_weight=None):
        weights = 1.0 if sample_weight is None else sample_weight
        self.total.assign_add(tf.reduce_sum(weights * tf.cast(y_pred, tf.float32)))

    def result(self):
        return tf.convert_to_tensor(self.total)


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class IgnoresWeights(Total):
    def update_state(self, y_pred, sample_weight=None):
        factor = 1.0 if sample_weight is None else 2.0
        super().update_state(factor * y_pred)


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class NeverResets(Total):
    def reset_state(self):
        pass


@tf.keras.utils.register_keras_serializable("hgr_tf.testing")
class KeepsTheLastBatchOnly(Total):
    def update_state(self, y_pred, sample_weight=None):
        self.total.assign(tf.reduce_sum(y_pred))


def test_good_metric_passes():
    scores = np.float32([1, 2, 3, 4])
    SharedTestCase().run_metric_test(Total, {"y_pred": scores}, expected=10)


@pytest.mark.parametrize("broken", [IgnoresWeights, NeverResets, KeepsTheLastBatchOnly])
def test_broken_metric_fails(broken):
    scores = np.float32([1, 2, 3, 4])
    with pytest.raises(AssertionError):
        SharedTestCase().run_metric_test(broken, {"y_pred": scores}, expected=10)


def test_metric_that_compiles_must_not_be_called_one_that_does_not():
    with pytest.raises(AssertionError, match="XLA must be refused"):
        SharedTestCase().run_metric_test(
            Total, {"y_pred": np.float32([1, 2])}, expected=3, jit_compile=False
        )
