"""The optimizer of a run, and evaluation on averaged weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3, unscaled
from hgr_tf.layers import RowEmbedding
from hgr_tf.optimizers import LazyAdam, RowwiseAdagrad
from hgr_tf.training.config import TrainingConfig

LARGEST_DENSE_TABLE = 2_000_000
"""Rows of a table up to which an optimizer may touch all of them in every step."""

_ROWS_ONLY = ("lazy_adam", "rowwise_adagrad", "sgd")


@tf.keras.utils.register_keras_serializable("hgr_tf")
class LaterSchedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that begins at a later step than 0: rate(t) = schedule(t - first).

    Args:
        schedule: The schedule.
        first: The step at which it begins.
    """

    def __init__(
        self, schedule: tf.keras.optimizers.schedules.LearningRateSchedule, first: int
    ) -> None:
        super().__init__()
        self._schedule = schedule
        self._first = first

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step."""
        return self._schedule(step - self._first)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"schedule": self._schedule, "first": self._first}


def build_optimizer(
    config: TrainingConfig, steps: int, first_step: int = 0
) -> tf.keras.optimizers.Optimizer:
    """Makes the optimizer of a run of `steps` steps in all.

    Args:
        config: Which optimizer and schedule.
        steps: Steps of the run.
        first_step: The optimizer's step before the run, where it goes on from another.
    """
    schedules = tf.keras.optimizers.schedules
    rate = config.learning_rate
    if config.schedule == "linear":
        rate = schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    elif config.schedule == "cosine":
        rate = schedules.CosineDecay(rate, steps)
    if first_step and config.schedule != "constant":
        rate = LaterSchedule(rate, first_step)
    optimizers = {
        "adam": tf.keras.optimizers.Adam,
        "adamw": tf.keras.optimizers.AdamW,
        "adagrad": tf.keras.optimizers.Adagrad,
        "sgd": tf.keras.optimizers.SGD,
        "lazy_adam": LazyAdam,
        "rowwise_adagrad": RowwiseAdagrad,
    }
    average = {}
    if config.weight_ema is not None:
        average = dict(use_ema=True, ema_momentum=config.weight_ema)
    return optimizers[config.optimizer](rate, **average)


def check_tables(model: tf.keras.Model, config: TrainingConfig) -> None:
    """Checks that no step of training touches all rows of a large table.

    Raises:
        ValueError: The optimizer or the averaging of weights would; the message
            names the layer and the way out.
    """
    layer = max(_tables(model), key=lambda layer: layer.input_dim, default=None)
    if layer is None or layer.input_dim <= LARGEST_DENSE_TABLE:
        return
    rows = f"all {layer.input_dim:,} rows of {layer.name!r}"
    if config.weight_ema is not None:
        raise ValueError(
            f"`training.weight_ema` averages {rows} in every step; leave it out"
        )
    on_rows = _ROWS_ONLY if KERAS_3 else (*_ROWS_ONLY, "adagrad")
    if config.optimizer not in on_rows:
        raise ValueError(
            f"`training.optimizer: {config.optimizer}` updates {rows} in every step; "
            f"take one of {', '.join(on_rows)}, which touch the rows of a batch"
        )
    if KERAS_3 and not isinstance(layer, RowEmbedding):
        raise ValueError(
            f"the gradient of {layer.name!r} holds {rows} in every step; "
            "make the layer a hgr_tf.layers.RowEmbedding"
        )


def _tables(model: tf.keras.Model) -> list[tf.keras.layers.Embedding]:
    layers = model._flatten_layers()
    return [one for one in layers if isinstance(one, tf.keras.layers.Embedding)]


@contextlib.contextmanager
def averaged_weights(model: tf.keras.Model) -> Iterator[None]:
    """Puts the optimizer's weight averages into the model, and back after.

    Does nothing where the optimizer keeps none.
    """
    optimizer = unscaled(model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    weights = model.trainable_variables
    # Keras offers the averages only to overwrite the weights for good.
    averages = optimizer._model_variables_moving_average
    trained = [tf.convert_to_tensor(weight) for weight in weights]
    for weight, average in zip(weights, averages, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for weight, value in zip(weights, trained, strict=True):
            weight.assign(value)


class EvaluateAverages(tf.keras.callbacks.Callback):
    """Makes the validation within `fit` see the averaged weights."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Swaps the averages in."""
        self._averaged = averaged_weights(self.model)
        self._averaged.__enter__()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Swaps the trained weights back."""
        self._averaged.__exit__(None, None, None)
