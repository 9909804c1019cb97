"""ReportingModel: a Keras model whose own steps report terms and metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.compat import KERAS_3, Mean, update_compiled_metrics
from hgr_tf.distribute import refuse_several_workers_on_keras_3
from hgr_tf.metrics import GroupAUC

TRAINING_TERMS = ("ranking_loss", "occupancy")
"""Terms of an objective that are known in training alone."""

Metric: TypeAlias = tf.keras.metrics.Metric | str

_LEAST_WEIGHT = 1e-30

_NOT_COMPILED = {
    "loss": "the loss is LogLoss plus `ranking_loss`",
    "loss_weights": "`level_weights` of the ranking loss are its weights",
    "weighted_metrics": "all `metrics` are weighted",
}


class ReportingModel(tf.keras.Model):
    """A Keras model that reports means of terms, and metrics.

    A subclass calls `add_trackers` in its constructor, and `track` and
    `update_metrics` in its steps. Metrics are weighted and get probabilities; a
    `GroupAUC` among them gets the user ids too, in evaluation alone.
    """

    _jit_compile: bool | None  # Keras's

    def add_trackers(self, *terms: str) -> None:
        """Makes the means of the terms that `track` will be given, "loss" among them.

        Call it once, at the end of the constructor: their variables come last.
        """
        # Keras 3 has a tracker of the loss; Keras 2 only with compile(loss=...).
        own = [] if KERAS_3 else ["loss"]
        self._group_metrics: list[GroupAUC] = []
        self._evaluating = False
        if not KERAS_3:
            # All replicas give the same figures; Keras 2 would add them up.
            self.distribute_reduction_method = "first"
        self._trackers = {name: Mean(name) for name in [*terms, *own]}

    def compile(
        self,
        optimizer: str | tf.keras.optimizers.Optimizer = "adam",
        metrics: Metric | Sequence[Metric] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: A Keras optimizer or its name.
            metrics: Keras metrics of (labels, probabilities, sample_weight), or
                names of some; one or a list. A `GroupAUC` is given the user ids
                too, in evaluation only.
            **kwargs: As of `tf.keras.Model.compile`, without `loss` and
                `loss_weights`: the losses are the constructor's; and without
                `weighted_metrics`: all `metrics` are.

        Raises:
            ValueError: One of these is given, `metrics` is a dict, or the strategy
                is one that Keras 3 cannot train under.
        """
        workers = tf.distribute.MultiWorkerMirroredStrategy
        if isinstance(self.distribute_strategy, workers):
            refuse_several_workers_on_keras_3()
        for name, reason in _NOT_COMPILED.items():
            if kwargs.pop(name, None) not in (None, []):
                raise ValueError(f"`{name}` must not be given: {reason}")
        if isinstance(metrics, dict):
            raise ValueError(
                f"`metrics` must be a list, as there is one output, got {metrics}"
            )
        if not isinstance(metrics, list | tuple):
            metrics = [metrics] if metrics else []
        self._group_metrics = [m for m in metrics if isinstance(m, GroupAUC)]
        others = [m for m in metrics if not isinstance(m, GroupAUC)]
        super().compile(optimizer=optimizer, weighted_metrics=others, **kwargs)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Keras's metrics: the loss first, training-only terms last."""

        def place(metric: tf.keras.metrics.Metric) -> tuple[bool, bool]:
            return metric.name in TRAINING_TERMS, metric.name != "loss"

        # A SavedModel brings the `GroupAUC` it was saved with, beside the compiled one.
        others = [m for m in super().metrics if not isinstance(m, GroupAUC)]
        return sorted([*others, *self._group_metrics], key=place)

    def track(
        self,
        terms: Mapping[str, tf.Tensor],
        weight: tf.Tensor,
        counts: Mapping[str, tf.Tensor] | None = None,
    ) -> None:
        """Adds a step's terms to their weighted means.

        Args:
            terms: Name -> scalar.
            weight: Scalar: the weight of the step.
            counts: Name -> the weight of a term that has another one.
        """
        weights = counts or {}
        for name, value in terms.items():
            tracker = self._loss_tracker if KERAS_3 and name == "loss" else None
            tracker = tracker or self._trackers[name]
            # A loss without weight is a number still, for who watches it.
            least = _LEAST_WEIGHT if name == "loss" else 0.0
            of_term = tf.maximum(weights.get(name, weight), least)
            tracker.update_state(value, of_term)

    def update_metrics(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        weights: tf.Tensor | None,
        *,
        training: bool,
        user_ids: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Updates the metrics with a batch and returns what to show of all.

        A `GroupAUC` shows its running value; `fit` and `evaluate` report its result.

        Args:
            labels: [batch] or [batch, 1].
            logits: [batch].
            weights: [batch] or [batch, 1], or None.
            training: Whether the step is of training.
            user_ids: int [batch], for `GroupAUC`.
        """
        labels = tf.reshape(labels, [-1, 1])
        if weights is not None:
            weights = tf.reshape(weights, [-1])
            # A row of weight 0 may hold anything, NaN too.
            counts = weights > 0
            labels = tf.where(counts[:, None], labels, tf.zeros_like(labels))
            logits = tf.where(counts, logits, 0.0)
        # Columns: of vectors, Keras's "accuracy" would be that of categories.
        probabilities = tf.sigmoid(logits)[:, None]
        update_compiled_metrics(self, labels, probabilities, weights)
        for metric in [] if training else self._group_metrics:
            metric.update_state(labels, probabilities, weights, groups=user_ids)
        return self._results(training, GroupAUC.running_result)

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        """What Keras reports at the end of an epoch or evaluation: exact results."""
        results = self._results(not self._evaluating, lambda metric: metric.result())
        return warn_of_undefined(results) if self._evaluating else results

    def _results(
        self, training: bool, result_of_group_metric: Callable[[GroupAUC], tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Name -> value of each metric that training or evaluation reports."""
        results: dict[str, tf.Tensor] = {}
        for metric in self.metrics:
            if isinstance(metric, GroupAUC):
                if not training:
                    results[metric.name] = result_of_group_metric(metric)
            elif training or metric.name not in TRAINING_TERMS:
                result = metric.result()
                results |= result if isinstance(result, dict) else {metric.name: result}
        if not training:
            results["loss"] = results["log_loss"]
        return results

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; not under XLA with a `GroupAUC`, which grows with its rows.

        Warns of metrics that are undefined, NaN, such as an AUC without positives.
        """
        jit_compile = self._jit_compile
        if self._group_metrics:
            # The attribute, not the property: that would drop train_function.
            self._jit_compile = False
        self._evaluating = True
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._evaluating = False
            self._jit_compile = jit_compile

    # -- Serialization of what was compiled ------------------------------------

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was called with, the group metrics included."""
        config = super().get_compile_config()
        if config:
            serialize = tf.keras.utils.serialize_keras_object
            grouped = [serialize(metric) for metric in self._group_metrics]
            weighted = config.pop("weighted_metrics", None) or []
            config["metrics"] = [*weighted, *grouped]
        return config

    def _get_compile_args(self, user_metrics: bool = True) -> dict[str, Any]:
        """As `get_compile_config`, for the SavedModels of Keras 2."""
        config = super()._get_compile_args(user_metrics)
        weighted = tf.nest.flatten(config.pop("weighted_metrics") or [])
        config["metrics"] = [*weighted, *self._group_metrics]
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` says."""
        config = tf.keras.utils.deserialize_keras_object(config)
        self.compile(**{k: v for k, v in config.items() if v is not None})
        # Keras's legacy optimizers have no such method.
        if hasattr(self.optimizer, "build"):
            self.optimizer.build(self.trainable_variables)


def warn_of_undefined(results: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns results, with a warning that names those that are NaN."""
    names = sorted(name for name, value in results.items() if np.isnan(value))
    if names:
        warnings.warn(
            f"{', '.join(names)}: undefined on the rows that were evaluated, NaN. AUC "
            "needs a positive and a negative of weight above 0, GAUC a user with both, "
            "PCOC a positive; NaN scores make all of them so.",
            stacklevel=3,
        )
    return results
