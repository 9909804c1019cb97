"""ReportingModel: a Keras model whose own steps report terms and metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.compat import KERAS_3, Mean, mean_of, update_compiled_metrics
from hgr_tf.distribute import (
    is_replicated,
    refuse_several_workers_on_keras_3,
    sum_over_replicas,
)
from hgr_tf.metrics.group_metric import GroupMetric
from hgr_tf.models.head_metrics import HeadMetrics
from hgr_tf.models.head_objective import TRAINING_TERMS, Term
from hgr_tf.models.heads import ONE_OUTPUT, ByHead, by_head, of_head

Metric: TypeAlias = tf.keras.metrics.Metric | str

_LEAST_WEIGHT = 1e-30

_NOT_COMPILED = {
    "loss": "the loss is LogLoss plus `ranking_loss`",
    "loss_weights": "`head_weights` and those of the ranking loss are its weights",
    "weighted_metrics": "all `metrics` are weighted",
}


class ReportingModel(tf.keras.Model):
    """A Keras model that reports means of terms, and metrics.

    A subclass calls `add_trackers` in its constructor, and `track` and
    `update_metrics` in its steps. Metrics are weighted and get probabilities; those by
    user, such as `GroupAUC`, get the user ids too, in evaluation alone. With several
    heads each has its own copy of every metric, called "click/auc".
    """

    _jit_compile: bool | None  # Keras's

    def add_trackers(self, *terms: str) -> None:
        """Makes the means of the terms that `track` will be given, "loss" among them.

        Call it once, at the end of the constructor: their variables come last.
        """
        # Keras 3 has a tracker of the loss; Keras 2 only with compile(loss=...).
        own = [] if KERAS_3 else ["loss"]
        self._own_metrics = HeadMetrics({})
        self._evaluating = False
        if not KERAS_3:
            # All replicas give the same figures; Keras 2 would add them up.
            self.distribute_reduction_method = "first"
        self._trackers = {name: Mean(name) for name in [*terms, *own]}

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the outputs; see `hgr_tf.models.heads`."""
        return ONE_OUTPUT

    def evaluation_weights(self) -> dict[str, float]:
        """Head -> the weight of its LogLoss in the loss of an evaluation."""
        return dict.fromkeys(self.heads, 1.0)

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
                names of some; one or a list. Those by user, such as `GroupAUC`, are
                given the user ids too, in evaluation only. Several heads take no
                names of metrics, and each gets a copy of all of them, made from its
                `get_config`: a metric of your own without one loses its arguments.
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
                f"`metrics` must be a list, which every output gets, got {metrics}"
            )
        if not isinstance(metrics, list | tuple):
            metrics = [metrics] if metrics else []
        # None, not an empty list, which Keras 3 would ask for its results.
        others: list[Metric] | None = None
        if self.heads == ONE_OUTPUT:
            own = [m for m in metrics if isinstance(m, GroupMetric)]
            self._own_metrics = HeadMetrics({ONE_OUTPUT[0]: own}, own)
            others = [m for m in metrics if not isinstance(m, GroupMetric)]
        else:
            with self.distribute_strategy.scope():
                self._own_metrics = HeadMetrics.copied(self.heads, metrics)
        super().compile(optimizer=optimizer, weighted_metrics=others, **kwargs)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Keras's metrics: the loss first, training-only terms last."""

        def place(metric: tf.keras.metrics.Metric) -> tuple[bool, bool]:
            return _is_of_training(metric), metric.name != "loss"

        # An older SavedModel brings the `GroupAUC` it was saved with.
        others = [m for m in super().metrics if not isinstance(m, GroupMetric)]
        return sorted([*others, *self._own_metrics.all], key=place)

    def track(self, terms: Mapping[str, Term]) -> None:
        """Adds a step's terms to their weighted means."""
        for name, (value, weight) in terms.items():
            tracker = self._loss_tracker if KERAS_3 and name == "loss" else None
            tracker = tracker or self._trackers[name]
            # A loss without weight is a number still, for who watches it.
            least = _LEAST_WEIGHT if name == "loss" else 0.0
            tracker.update_state(value, tf.maximum(weight, least))

    def update_metrics(
        self,
        labels: ByHead,
        logits: ByHead,
        weights: ByHead,
        *,
        training: bool,
        user_ids: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Updates the metrics with a batch and returns what to show of all.

        Those by user show running values; `fit` and `evaluate` report their results.

        Args:
            labels: [batch] or [batch, 1]; with several heads, a dict with one for
                each, as those that follow.
            logits: [batch].
            weights: [batch] or [batch, 1], or None.
            training: Whether the step is of training.
            user_ids: int [batch], for metrics by user.
        """
        of_labels, of_weights = by_head(labels), by_head(weights)
        for head, scores in by_head(logits).items():
            columns = _columns(of_labels[head], scores, of_weights[head])
            if self.heads == ONE_OUTPUT:
                update_compiled_metrics(self, *columns)
            self._own_metrics.update(head, columns, training, user_ids)
        return self._results(training, GroupMetric.running_result)

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        """What Keras reports at the end of an epoch or evaluation: exact results."""
        results = self._results(not self._evaluating, lambda metric: metric.result())
        return warn_of_undefined(results) if self._evaluating else results

    def _results(
        self, training: bool, result_of_group_metric: Callable[[GroupMetric], tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Name -> value of each metric that training or evaluation reports."""
        results: dict[str, tf.Tensor] = {}
        means = _means_over_replicas(self.metrics)
        for metric in self.metrics:
            if isinstance(metric, GroupMetric):
                if not training:
                    results[metric.name] = result_of_group_metric(metric)
            elif training or not _is_of_training(metric):
                result = means[metric] if metric in means else metric.result()
                results |= result if isinstance(result, dict) else {metric.name: result}
        if not training:
            # 0 times the NaN of a head without rows would be NaN.
            results["loss"] = sum(
                weight * results[of_head(head, "log_loss")]
                for head, weight in self.evaluation_weights().items()
                if weight > 0
            )
        return results

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; not under XLA with metrics by user, which grow with the rows.

        Warns of metrics that are undefined, NaN, such as an AUC without positives.
        """
        jit_compile = self._jit_compile
        if self._own_metrics.need_users:
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
        """What `compile` was called with, the model's own metrics included."""
        config = super().get_compile_config()
        if config:
            serialize = tf.keras.utils.serialize_keras_object
            own = [serialize(metric) for metric in self._own_metrics.compiled]
            weighted = config.pop("weighted_metrics", None) or []
            config["metrics"] = [*weighted, *own]
        return config

    def _get_compile_args(self, user_metrics: bool = True) -> dict[str, Any]:
        """As `get_compile_config`, for the SavedModels of Keras 2."""
        config = super()._get_compile_args(user_metrics)
        weighted = tf.nest.flatten(config.pop("weighted_metrics") or [])
        config["metrics"] = [*weighted, *self._own_metrics.compiled]
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` says."""
        config = tf.keras.utils.deserialize_keras_object(config)
        self.compile(**{k: v for k, v in config.items() if v is not None})
        # Keras's legacy optimizers have no such method.
        if hasattr(self.optimizer, "build"):
            self.optimizer.build(self.trainable_variables)


def _means_over_replicas(
    metrics: Sequence[tf.keras.metrics.Metric],
) -> dict[tf.keras.metrics.Metric, tf.Tensor]:
    """Results of means that a replica asks for on Keras 2, by metric; else nothing.

    Keras exchanges each of their variables by itself; here all are exchanged at once.
    """
    if KERAS_3 or not is_replicated():
        return {}
    means = [metric for metric in metrics if type(metric) is Mean]
    sums = sum_over_replicas([mean.sums() for mean in means])
    return {mean: mean_of(*own) for mean, own in zip(means, sums, strict=True)}


def _is_of_training(metric: tf.keras.metrics.Metric) -> bool:
    """Whether a metric is the mean of a term that is known in training alone."""
    return metric.name.rpartition("/")[2] in TRAINING_TERMS


def _columns(
    labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """What metrics are called with: labels, probabilities and weights."""
    labels = tf.reshape(labels, [-1, 1])
    if weights is not None:
        weights = tf.reshape(weights, [-1])
        # A row of weight 0 may hold anything, NaN too.
        counts = weights > 0
        labels = tf.where(counts[:, None], labels, tf.zeros_like(labels))
        logits = tf.where(counts, logits, 0.0)
    # Columns: of vectors, Keras's "accuracy" would be that of categories.
    return labels, tf.sigmoid(logits)[:, None], weights


def warn_of_undefined(results: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns results, with a warning that names those that are NaN."""
    names = sorted(name for name, value in results.items() if np.isnan(value))
    if names:
        warnings.warn(
            f"{', '.join(names)}: undefined on the rows that were evaluated, NaN. AUC "
            "needs a positive and a negative of weight above 0, GAUC a user with both, "
            "PCOC a positive, LogLoss a row of weight above 0; NaN scores make all of "
            "them so.",
            stacklevel=3,
        )
    return results
