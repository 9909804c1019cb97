"""What every model must do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.testing import checks
from hgr_tf.testing.replicas import copies, two_replicas

MakeModel: TypeAlias = Callable[[], tf.keras.Model]


def fit(
    model: tf.keras.Model,
    inputs: Mapping[str, tf.Tensor],
    labels: checks.Structure,
    steps: int = 2,
) -> float:
    """Trains a compiled model for some steps; returns the last loss."""
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
    dataset = dataset.batch(len(tf.nest.flatten(labels)[0])).repeat(steps)
    return model.fit(dataset, verbose=0).history["loss"][-1]


def check_training(
    make: MakeModel,
    inputs: Mapping[str, tf.Tensor],
    labels: checks.Structure,
    jit_compile: bool = False,
) -> tf.keras.Model:
    """A few steps give a finite loss and finite weights other than before.

    Returns:
        The trained model.
    """
    model = make()
    model(inputs)
    before = [np.array(weight) for weight in model.get_weights()]
    if jit_compile:
        model.jit_compile = True
    assert np.isfinite(fit(model, inputs, labels))
    after = model.get_weights()
    moved = [(b != a).any() for b, a in zip(before, after, strict=True)]
    assert any(moved)
    assert all(np.isfinite(weight).all() for weight in after)
    return model


def check_model_file(
    model: tf.keras.Model, inputs: Mapping[str, tf.Tensor], labels: checks.Structure
) -> None:
    """In the middle of training, a .keras file gives the same model, to go on."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        loaded = tf.keras.models.load_model(path)
    checks.check_same(loaded(inputs), model(inputs))
    checks.check_same(loaded.get_weights(), model.get_weights())
    assert np.isfinite(fit(loaded, inputs, labels))


def check_model_replicas(
    make: MakeModel, inputs: Mapping[str, tf.Tensor], labels: checks.Structure
) -> None:
    """Two replicas train to equal weights."""
    strategy = two_replicas()
    with strategy.scope():
        model = make()
        model(inputs)
    assert np.isfinite(fit(model, inputs, labels))
    # Each replica has its own sums in a metric.
    sums = {id(variable) for metric in model.metrics for variable in metric.variables}
    for variable in model.variables:
        if id(variable) in sums:
            continue
        first, second = copies(strategy, variable)
        np.testing.assert_array_equal(first, second)
