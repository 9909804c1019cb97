"""Checks that hold for every public class, whatever it computes."""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Structure: TypeAlias = Any
"""Tensors or arrays in lists, tuples and dicts, as `tf.nest` takes them."""

Serializable: TypeAlias = tf.keras.layers.Layer | tf.keras.metrics.Metric
"""What Keras makes again from a config."""

_BASE_ARGUMENTS = ("self", "args", "kwargs", "name", "dtype")


def tensors(inputs: Structure) -> Structure:
    """A structure of arrays as tensors."""
    return tf.nest.map_structure(tf.convert_to_tensor, inputs)


def cast_floats(inputs: Structure, dtype: str) -> Structure:
    """A structure of tensors with those of float dtype cast."""
    return tf.nest.map_structure(
        lambda x: tf.cast(x, dtype) if x.dtype.is_floating else x, inputs
    )


def check_same(actual: Structure, expected: Structure, tolerance: float = 1e-5) -> None:
    """Two structures hold equal tensors, up to the rounding of a sum."""
    actual, expected = tf.nest.flatten(actual), tf.nest.flatten(expected)
    for one, other in zip(actual, expected, strict=True):
        one, other = (np.asarray(tf.cast(x, tf.float64)) for x in (one, other))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def check_finite(structure: Structure) -> None:
    """No tensor of the structure holds NaN or infinity."""
    for tensor in tf.nest.flatten(structure):
        assert np.isfinite(tf.cast(tensor, tf.float64)).all(), tensor


def check_config(instance: Serializable) -> Serializable:
    """Every constructor argument is an attribute and survives serialization.

    Returns:
        An instance that went through JSON, as it does in a file.
    """
    config = instance.get_config()
    arguments = inspect.signature(type(instance).__init__).parameters
    for argument in set(arguments) - set(_BASE_ARGUMENTS):
        assert hasattr(instance, argument), f"no attribute of argument {argument!r}"
        assert argument in config, f"argument {argument!r} is not in the config"
    serialized = json.dumps(tf.keras.utils.serialize_keras_object(instance))
    again = tf.keras.utils.deserialize_keras_object(json.loads(serialized))
    assert type(again) is type(instance)
    # Only the config: Keras 2 forgets the shape that some of its layers were built for.
    configs = [
        json.dumps(tf.keras.utils.serialize_keras_object(one)["config"])
        for one in (instance, again)
    ]
    assert configs[0] == configs[1]
    return again


def check_gradients(
    function: Callable[..., Structure],
    inputs: Sequence[tf.Tensor],
    watched: Iterable[int],
    variables: Iterable[tf.Variable] = (),
) -> None:
    """Gradients of the sum of the float outputs exist and are finite.

    Args:
        function: Called with `inputs`.
        inputs: Tuple of tensors.
        watched: Indices of the inputs that must get a gradient.
        variables: Must get a gradient too.
    """
    sources = [inputs[index] for index in watched]
    sources += [v if isinstance(v, tf.Variable) else v.value for v in variables]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = [
            tf.reduce_sum(tf.cast(output, tf.float32))
            for output in tf.nest.flatten(function(*inputs))
            if output.dtype.is_floating
        ]
        total = tf.add_n(outputs)
    gradients = tape.gradient(total, sources)
    assert all(gradient is not None for gradient in gradients), gradients
    check_finite([tf.convert_to_tensor(gradient) for gradient in gradients])


def check_graph(
    function: Callable[..., Structure], inputs: Sequence[Structure]
) -> None:
    """A function computes in a graph what it does eagerly."""
    check_same(tf.function(function)(*inputs), function(*inputs))


def check_xla(function: Callable[..., Structure], inputs: Sequence[Structure]) -> None:
    """A function computes under XLA what it does eagerly."""
    compiled = tf.function(function, jit_compile=True)
    check_same(compiled(*inputs), function(*inputs), tolerance=1e-4)


def check_keras_file(
    layer: tf.keras.layers.Layer, inputs: Sequence[tf.Tensor], kwargs: Mapping[str, Any]
) -> None:
    """A functional model of the layer computes the same from a .keras file."""
    symbolic = tf.nest.map_structure(
        lambda x: tf.keras.Input(x.shape[1:], dtype=x.dtype.name), list(inputs)
    )
    outputs = tf.nest.flatten(layer(*symbolic, **kwargs))
    model = tf.keras.Model(tf.nest.flatten(symbolic), outputs)
    inputs = tf.nest.flatten(inputs)
    expected = model(inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        loaded = tf.keras.models.load_model(path)
    check_same(loaded(inputs), expected)


def check_model_with_metric(metric: tf.keras.metrics.Metric) -> None:
    """A model with the metric saves and loads, in both formats."""
    model = tf.keras.Sequential([tf.keras.Input([2]), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    row = tf.ones([1, 2])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        check_same(tf.keras.models.load_model(path)(row), model(row))
    check_saved_model(model, model, (row,))


def check_saved_model(
    trackable: tf.Module | tf.keras.layers.Layer,
    function: Callable[..., Structure],
    inputs: Sequence[Structure],
) -> None:
    """A function computes the same after a round trip through a SavedModel.

    Args:
        trackable: Holds the variables that the function uses.
        function: Called with `inputs`.
        inputs: Tuple of tensors.
    """
    module = tf.Module()
    module.held = trackable
    module.run = tf.function(lambda *args: tf.nest.flatten(function(*args)))
    expected = module.run(*inputs)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        loaded = tf.saved_model.load(folder)
        check_same(loaded.run(*inputs), expected)
