"""ReportingModel: a Keras model whose own steps report terms and metrics."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.compat import KERAS_3, Mean, update_compiled_metrics
from hgr_tf.metrics import GroupAUC

TRAINING_TERMS = ("ranking_loss", "occupancy")
"""Terms of an objective that are known in training alone."""

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

    def add_trackers(self, *terms: str) -> None:
        """Makes the means of the terms that `track` will be given, "loss" among them.

        Call it once, at the end of the constructor: their variables come last.
        """
        # Keras 3 has a tracker of the loss; Keras 2 only with compile(loss=...).
        own = [] if KERAS_3 else ["loss"]
        self._group_metrics = []
        self._trackers = {name: Mean(name) for name in [*terms, *own]}

    def compile(self, optimizer="adam", metrics=None, **kwargs):
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
            ValueError: One of these is given, or `metrics` is a dict.
        """
        for name, reason in _NOT_COMPILED.items():
            if kwargs.pop(name, None) not in (None, []):
                raise ValueError(f"`{name}` must not be given: {reason}")
        if isinstance(metrics, dict):
            raise ValueError(
                f"`metrics` must be a list, as there is one output, got {metrics}"
            )
        is_list = isinstance(metrics, list | tuple)
        metrics = list(metrics) if is_list else [metrics] if metrics else []
        self._group_metrics = [m for m in metrics if isinstance(m, GroupAUC)]
        others = [m for m in metrics if not isinstance(m, GroupAUC)]
        super().compile(optimizer=optimizer, weighted_metrics=others, **kwargs)

    @property
    def metrics(self):
        """Keras's metrics: the loss first, training-only terms last."""

        def place(metric):
            return metric.name in TRAINING_TERMS, metric.name != "loss"

        # A SavedModel brings the `GroupAUC` it was saved with, beside the compiled one.
        others = [m for m in super().metrics if not isinstance(m, GroupAUC)]
        return sorted([*others, *self._group_metrics], key=place)

    def track(self, terms: dict, counts: dict) -> None:
        """Adds a step's terms to their means.

        Args:
            terms: Name -> scalar.
            counts: Name -> the weight of that scalar, by default counts["loss"].
        """
        for name, value in terms.items():
            tracker = self._loss_tracker if KERAS_3 and name == "loss" else None
            tracker = tracker or self._trackers[name]
            tracker.update_state(value, counts.get(name, counts["loss"]))

    def update_metrics(self, labels, logits, weights, *, training, user_ids=None):
        """Updates the metrics with a batch and returns what to show of all.

        Args:
            labels: [batch] or [batch, 1].
            logits: [batch].
            weights: [batch] or [batch, 1], or None.
            training: Whether the step is of training.
            user_ids: int [batch], for `GroupAUC`.
        """
        # Columns: of vectors, Keras's "accuracy" would be that of categories.
        probabilities = tf.sigmoid(logits)[:, None]
        labels = tf.reshape(labels, [-1, 1])
        if weights is not None:
            weights = tf.reshape(weights, [-1])
        update_compiled_metrics(self, labels, probabilities, weights)
        results = {}
        for metric in self.metrics:
            if isinstance(metric, GroupAUC):
                continue
            if metric.name in TRAINING_TERMS and not training:
                continue
            result = metric.result()
            results.update(
                result if isinstance(result, dict) else {metric.name: result}
            )
        if training:
            return results
        for metric in self._group_metrics:
            metric.update_state(labels, probabilities, weights, groups=user_ids)
            results[metric.name] = metric.running_result()
        return results

    def evaluate(self, *args, **kwargs):
        """As Keras's; not under XLA with a `GroupAUC`, which grows with its rows."""
        jit_compile = self._jit_compile
        if self._group_metrics:
            # The attribute, not the property: that would drop train_function.
            self._jit_compile = False
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._jit_compile = jit_compile

    # -- Serialization of what was compiled ------------------------------------

    def get_compile_config(self):
        """What `compile` was called with, the group metrics included."""
        config = super().get_compile_config()
        if config:
            serialize = tf.keras.utils.serialize_keras_object
            grouped = [serialize(metric) for metric in self._group_metrics]
            weighted = config.pop("weighted_metrics", None) or []
            config["metrics"] = [*weighted, *grouped]
        return config

    def _get_compile_args(self, user_metrics=True):
        """As `get_compile_config`, for the SavedModels of Keras 2."""
        config = super()._get_compile_args(user_metrics)
        weighted = tf.nest.flatten(config.pop("weighted_metrics") or [])
        config["metrics"] = [*weighted, *self._group_metrics]
        return config

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` says."""
        config = tf.keras.utils.deserialize_keras_object(config)
        self.compile(**{k: v for k, v in config.items() if v is not None})
        # Keras's legacy optimizers have no such method.
        if hasattr(self.optimizer, "build"):
            self.optimizer.build(self.trainable_variables)
