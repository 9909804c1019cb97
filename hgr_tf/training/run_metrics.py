"""The metrics of runs: one list, and those that a config adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hgr_tf.training.imported import import_object

if TYPE_CHECKING:
    import tensorflow as tf


class RunMetric(NamedTuple):
    """A metric that every run has.

    Attributes:
        name: Its key in results.
        title: Its column in tables.
        sign: +1 if more is better, -1 if less is, 0 if a value between is.
        make: Makes the Keras metric of (labels, probabilities, sample_weight); None
            for what the model computes itself.
    """

    name: str
    title: str
    sign: int
    make: Callable[[], tf.keras.metrics.Metric] | None = None

    @property
    def column(self) -> str:
        """The title, with an arrow that says which way is better."""
        better = {1: "↑", -1: "↓", 0: "→ 1"}
        return f"{self.title} {better[self.sign]}"


def _own(name: str) -> Callable[[], tf.keras.metrics.Metric]:
    def make() -> tf.keras.metrics.Metric:
        from hgr_tf import metrics

        return getattr(metrics, name)()

    return make


RUN_METRICS = (
    RunMetric("gauc", "GAUC", +1, _own("GroupAUC")),
    RunMetric("auc", "AUC", +1, _own("AreaUnderCurve")),
    RunMetric("log_loss", "LogLoss", -1),
    RunMetric("pcoc", "PCOC", 0, _own("PredictedOverObserved")),
    RunMetric("ece", "ECE", -1, _own("ExpectedCalibrationError")),
)
"""In the order of the columns of tables."""

SIGNS = {metric.name: metric.sign for metric in RUN_METRICS if metric.sign}
"""The signs of metrics that can be compared: see `RunMetric.sign`."""


def run_metrics(imported: Sequence[str] = ()) -> list[tf.keras.metrics.Metric]:
    """Makes the Keras metrics of a run.

    Args:
        imported: Metrics beside `RUN_METRICS`, each "package.module:name" of a
            class or function that needs no arguments and makes the metric.

    Raises:
        ValueError: One is no Keras metric, or has the name of another.
    """
    made = [metric.make() for metric in RUN_METRICS if metric.make]
    taken = {metric.name for metric in RUN_METRICS} | {"loss"}
    for text in imported:
        metric = _make(text)
        if metric.name in taken:
            raise ValueError(
                "`metrics` must have names of their own, got "
                f"{metric.name!r} of {text!r}"
            )
        taken.add(metric.name)
        made.append(metric)
    return made


def _make(text: str) -> tf.keras.metrics.Metric:
    import tensorflow as tf

    metric = import_object(text)
    if not isinstance(metric, tf.keras.metrics.Metric) and callable(metric):
        try:
            metric = metric()
        except TypeError as error:
            raise ValueError(
                f"`metrics` must need no arguments, got {text!r} ({error})"
            ) from error
    if not isinstance(metric, tf.keras.metrics.Metric):
        raise ValueError(
            f"`metrics` must be or make Keras metrics, got {text!r}: {metric!r}"
        )
    return metric
