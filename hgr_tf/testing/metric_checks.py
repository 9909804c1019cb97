"""What every metric must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.testing import checks
from hgr_tf.testing.replicas import run_on_halves, two_replicas

MakeMetric: TypeAlias = Callable[[], tf.keras.metrics.Metric]


def check_metric_values(
    metric: tf.keras.metrics.Metric, inputs: Mapping[str, tf.Tensor], expected: float
) -> None:
    """The value, its reset, and that weights of one change nothing."""
    empty = float(metric.result())  # NaN, mostly: undefined
    metric.update_state(**inputs)
    assert metric.result().shape == ()
    checks.check_same(metric.result(), expected)
    metric.reset_state()
    np.testing.assert_equal(float(metric.result()), empty)
    rows = len(next(iter(inputs.values())))
    metric.update_state(**inputs, sample_weight=tf.ones([rows]))
    checks.check_same(metric.result(), expected)
    again = checks.check_config(metric)
    np.testing.assert_equal(float(again.result()), empty)


def check_metric_in_graph(
    make: MakeMetric,
    inputs: Mapping[str, tf.Tensor],
    expected: float,
    jit_compile: bool,
) -> None:
    """Update and result in one graph; under XLA, or refused there by name."""
    metric = make()

    def step() -> tf.Tensor:
        metric.update_state(**inputs)
        return metric.result()

    checks.check_same(tf.function(step)(), expected)
    metric.reset_state()
    compiled = tf.function(step, jit_compile=True)
    if jit_compile:
        checks.check_same(compiled(), expected)
        return
    try:
        compiled()
    except NotImplementedError as error:
        assert "XLA" in str(error)
    else:
        raise AssertionError("XLA must be refused with a NotImplementedError")


def check_metric_replicas(
    make: MakeMetric, inputs: Mapping[str, tf.Tensor], splits_rows: bool
) -> None:
    """Two replicas with a half each count as one that saw both halves."""
    alone = make()
    if not splits_rows:
        inputs = {name: tf.concat([x, x], axis=0) for name, x in inputs.items()}
    for half in range(2):
        alone.update_state(
            **{name: tf.split(rows, 2)[half] for name, rows in inputs.items()}
        )
    strategy = two_replicas()
    with strategy.scope():
        metric = make()

    def update(rows: Mapping[str, tf.Tensor]) -> tf.Tensor:
        metric.update_state(**rows)
        return tf.constant(0)

    for _ in range(2):
        run_on_halves(strategy, update, inputs)
        checks.check_same(metric.result(), alone.result())
        metric.reset_state()
