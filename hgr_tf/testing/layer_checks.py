"""What every layer must do, and every loss, which is a layer too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.compat import dtype_policy
from hgr_tf.testing import checks
from hgr_tf.testing.replicas import copies, run_on_halves, two_replicas

PRECISIONS = ("float16", "bfloat16")

MakeLayer: TypeAlias = Callable[[], tf.keras.layers.Layer]


def check_restored(
    layer: tf.keras.layers.Layer, inputs: Sequence[tf.Tensor], kwargs: dict[str, Any]
) -> None:
    """Config, weights and .keras file give a layer that computes the same."""
    outputs = layer(*inputs, **kwargs)
    again = checks.check_config(layer)
    again(*inputs, **kwargs)
    again.set_weights(layer.get_weights())
    checks.check_same(again(*inputs, **kwargs), outputs)
    checks.check_keras_file(layer, inputs, kwargs)


def check_layer_precision(
    make: MakeLayer,
    inputs: Sequence[tf.Tensor],
    kwargs: dict[str, Any],
    watched: Iterable[int],
    precision: str,
) -> None:
    """Half-precision inputs under a mixed policy; variables stay float32."""
    with dtype_policy(f"mixed_{precision}"):
        layer = make()
        inputs = checks.cast_floats(inputs, precision)
        call = functools.partial(layer, **kwargs)
        checks.check_finite(call(*inputs))
        variables = layer.trainable_variables
        checks.check_gradients(call, inputs, watched, variables)
    assert all(tf.as_dtype(v.dtype) == tf.float32 for v in variables)


def check_layer_replicas(
    make: MakeLayer,
    inputs: Sequence[tf.Tensor],
    kwargs: dict[str, Any],
    splits_rows: bool,
) -> None:
    """Training calls of two replicas leave equal variables on both."""
    strategy = two_replicas()
    with strategy.scope():
        layer = make()
        layer(*inputs, **kwargs)
    if "training" in inspect.signature(layer.call).parameters:
        kwargs = kwargs | {"training": True}
    if not splits_rows:
        inputs = tf.nest.map_structure(lambda x: tf.concat([x, x], 0), inputs)
    outputs = run_on_halves(strategy, lambda rows: layer(*rows, **kwargs), inputs)
    checks.check_finite(outputs)
    for variable in layer.variables:
        first, second = copies(strategy, variable)
        np.testing.assert_array_equal(first, second)


def check_masked_rows(loss: tf.keras.layers.Layer, inputs: Sequence[tf.Tensor]) -> None:
    """Weights of one change nothing; rows of weight 0 are as if not there."""
    size = len(inputs[0])
    checks.check_same(loss(*inputs, sample_weight=tf.ones([size])), loss(*inputs))
    kept = tf.cast(tf.range(size) < size // 2, tf.float32)
    half = [rows[: size // 2] for rows in inputs]
    checks.check_same(loss(*inputs, sample_weight=kept), loss(*half))


def check_nothing_to_rank(
    loss: tf.keras.layers.Layer, inputs: Sequence[tf.Tensor]
) -> None:
    """Without any positive the loss is exactly 0, and so are its gradients."""
    labels, logits, *groups = inputs
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.zeros_like(labels), logits, *groups)
    assert float(value) == 0.0
    gradient = tape.gradient(value, logits)
    np.testing.assert_array_equal(gradient, tf.zeros_like(logits))
