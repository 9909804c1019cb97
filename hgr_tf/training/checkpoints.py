"""Checkpoints: the state that an interrupted run goes on from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from hgr_tf.compat import KERAS_3, optimizer_state
from hgr_tf.metrics.group_metric import GroupMetric


class NotFiniteError(ValueError):
    """A loss or a weight became NaN or infinite."""


class Checkpoints:
    """The last checkpoints of an unfinished run, numbered by its steps.

    The state is the model's weights, the optimizer's variables (its step and a
    loss scale included), and the running means of the epoch, so that a resumed epoch
    logs what an uninterrupted one logs. The number of a checkpoint is the number of
    steps that were trained, from which epoch and place in the data follow.

    Args:
        folder: Where they are; made by the first `save`.
        model: A compiled and built model.
        metrics: What it was compiled with: Keras tells of it only once it was used.
        keep: How many to keep.
    """

    def __init__(
        self,
        folder: str | Path,
        model: tf.keras.Model,
        metrics: Sequence[tf.keras.metrics.Metric] = (),
        keep: int = 3,
    ):
        self._model = model
        state = _variables([*model.weights, *optimizer_state(model.optimizer)])
        self._means = _variables(_running_means(model, metrics))
        self._checkpoint = tf.train.Checkpoint(state=state, means=self._means)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(folder), max_to_keep=keep
        )
        self._restored_means: list[np.ndarray] = []

    @property
    def latest(self) -> int:
        """Number of the newest checkpoint; 0 without one."""
        return _number(self._manager.latest_checkpoint)

    def save(self, steps: int) -> None:
        """Writes the state after `steps` steps; older ones than the last go.

        Raises:
            NotFiniteError: A weight is NaN or infinite; nothing was written.
        """
        for weight in self._model.trainable_weights:
            if not _is_finite(weight):
                raise NotFiniteError(f"{weight.name} is not finite")
        if steps != self.latest:
            self._manager.save(checkpoint_number=steps)

    def restore(self) -> int:
        """Puts the state of the newest checkpoint that is whole into the model.

        A damaged one is passed over with a warning, and its steps are trained again.

        Returns:
            The number of steps that were trained; 0 where nothing was restored.
        """
        for path in reversed(self._manager.checkpoints):
            # Read before a variable is touched: no restored model is half of one.
            if (fault := _fault(path)) is None:
                self._checkpoint.restore(path).assert_consumed()
                self._restored_means = [
                    tf.convert_to_tensor(mean).numpy() for mean in self._means
                ]
                for mean in self._means:  # Keras 2 resets only metrics in use
                    mean.assign(tf.zeros_like(mean))
                return _number(path)
            warnings.warn(
                f"{path}: this checkpoint is damaged ({fault}); training goes on from "
                "the one before",
                stacklevel=2,
            )
        return 0

    def restore_means(self) -> None:
        """Puts the running means of the restored epoch back, once.

        `fit` resets them as an epoch begins, which is after `restore`.
        """
        for mean, value in zip(self._means, self._restored_means, strict=False):
            mean.assign(value)
        self._restored_means = []


def _is_finite(weight: tf.Variable) -> bool:
    # A sum is finite only if all of its terms are, and makes no table of flags; one
    # that overflows is looked at weight by weight.
    value = tf.convert_to_tensor(weight)
    total = tf.reduce_sum(tf.cast(value, tf.float32))
    finite = tf.math.is_finite(total) or tf.reduce_all(tf.math.is_finite(value))
    return bool(finite)


def _running_means(
    model: tf.keras.Model, metrics: Sequence[tf.keras.metrics.Metric]
) -> list[tf.Variable]:
    """Variables of the metrics that training updates, each metric once."""
    found = {id(m): m for m in [*metrics, *model.metrics] if not _is_of_rows(m)}
    return [variable for metric in found.values() for variable in metric.variables]


def _is_of_rows(metric: tf.keras.metrics.Metric) -> bool:
    # A GroupMetric holds the rows of an evaluation; Keras 3 shows its list of compiled
    # metrics as one more metric.
    return isinstance(metric, GroupMetric) or type(metric).__name__ == "CompileMetrics"


def _fault(path: str) -> str | None:
    """What is wrong with the files of a checkpoint; None if they are whole."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)  # checks the sum over its bytes
    except Exception as error:  # TensorFlow raises one of many for damaged files
        return str(error).splitlines()[0]
    return None


def _number(path: str | None) -> int:
    return int(path.rsplit("-", 1)[1]) if path else 0


def _variables(weights: list[tf.Variable]) -> list[tf.Variable]:
    return [weight.value for weight in weights] if KERAS_3 else weights
