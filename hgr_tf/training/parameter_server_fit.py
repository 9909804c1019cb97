"""ParameterServerFit: Keras's `fit` on parameter servers, into a run folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import tensorflow as tf

from hgr_tf.compat import progress_bar
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.chief_copy import ChiefCopy
from hgr_tf.training.config import TrainingConfig
from hgr_tf.training.epoch_end import EpochEnd
from hgr_tf.training.last_weights import LastWeights
from hgr_tf.training.rest_of_run import fit_rest_of_run
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.step_end import StepEnd
from hgr_tf.training.workers import Workers

Callback: TypeAlias = tf.keras.callbacks.Callback


class ParameterServerFit:
    """Trains the rest of an epoch, then whole epochs, by asynchronous steps.

    The chief hands steps out and does not wait for them, so no step is looked at: the
    loss is checked at the end of each epoch, and weights at each checkpoint. An
    epoch's end waits for its steps and evaluates on the chief.

    Args:
        model: The compiled model on the parameter servers.
        copy: The chief's copy of it, compiled with the metrics of an evaluation.
        settings: How long, how often to save, and when to stop early.
        steps: Steps of an epoch.
        batches: Makes the endless batches of a worker, in graphs without Python.
        evaluate: The metrics of the chief's copy on the validation split.
        verbose: As in Keras's `fit`.
        last_weights: Keeps the weights of the checkpoints that are averaged.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        copy: ChiefCopy,
        settings: TrainingConfig,
        *,
        steps: int,
        batches: Callable[[], tf.data.Dataset],
        evaluate: Callable[[], dict[str, float]],
        verbose: int,
        last_weights: LastWeights | None = None,
    ):
        self._model = model
        self._copy = copy
        self._settings = settings
        self._steps = steps
        self._batches = batches
        self._evaluate = evaluate
        self._verbose = verbose
        self._last_weights = last_weights

    def run(self, trained: int, folder: RunFolder, checkpoints: Checkpoints) -> None:
        """Trains on after `trained` steps, to the last epoch or an early stop.

        Args:
            trained: Steps that were trained before.
            folder: Where history, best weights and TensorBoard's logs are written.
            checkpoints: Where the state is saved.
        """
        step_end = _ScheduledStepEnd(
            self._copy,
            checkpoints,
            trained,
            self._steps,
            self._settings.checkpoints.every_steps,
            folder.faulty_batch,
            self._last_weights,
        )
        epoch_end = EpochEnd(folder, step_end, self._settings.early_stopping)
        callbacks = [
            step_end,
            _EvaluateCopy(self._copy, self._evaluate, epoch_end),
            tf.keras.callbacks.TensorBoard(folder.tensorboard, write_graph=False),
            progress_bar(),
        ]
        fit, epochs = partial(self._fit, callbacks), self._settings.epochs
        try:
            fit_rest_of_run(fit, self._model, trained, self._steps, epochs)
        finally:
            step_end.release()

    def _fit(self, callbacks: list[Callback], first: int, end: int, done: int) -> None:
        creator = tf.keras.utils.experimental.DatasetCreator(lambda _: self._batches())
        self._model.fit(
            creator,
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=self._steps - done,
            callbacks=list(callbacks),
            verbose=self._verbose,
        )


class _ScheduledStepEnd(StepEnd):
    """Counts the steps that were handed out; waits for them where it saves."""

    def __init__(
        self,
        copy: ChiefCopy,
        checkpoints: Checkpoints,
        first: int,
        steps_per_epoch: int,
        every: int | None,
        faulty_batch: Path,
        last_weights: LastWeights | None,
    ):
        super().__init__(
            checkpoints,
            first,
            steps_per_epoch,
            every,
            None,
            faulty_batch,
            Workers(),
            last_weights,
        )
        self._copy = copy
        # Keras refuses others that see steps, whose logs are in another process.
        self._supports_tf_logs = True

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Writes a checkpoint when it is time.

        Raises:
            NotFiniteError: A weight is not finite; checkpoints from before stay.
            TrainingInterruptedError: SIGTERM came; the step is saved.
        """
        self.steps += 1
        if self.steps % self._steps_per_epoch == 0:
            return
        if self._every is not None and self.steps % self._every == 0:
            self.save()
        self.stop_if_told()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the loss of the epoch.

        Raises:
            NotFiniteError: It is not finite.
        """
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            self._refuse(f"the loss is {loss}")
        self._copy.pull()

    def save(self) -> None:
        """Waits for the steps, and writes a checkpoint of them."""
        self.model._cluster_coordinator.join()
        if self._last_weights:
            self._copy.pull()
        super().save()


class _EvaluateCopy(Callback):
    """Evaluates the chief's copy at each epoch's end, and records the epoch."""

    def __init__(
        self,
        copy: ChiefCopy,
        evaluate: Callable[[], dict[str, float]],
        epoch_end: EpochEnd,
    ):
        super().__init__()
        self._copy = copy
        self._evaluate = evaluate
        self._epoch_end = epoch_end
        epoch_end.set_model(copy.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the figures of the validation to the logs; see `EpochEnd`."""
        # `fit` is in the scope of its strategy, which other threads are not.
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(self._evaluate).result()
        logs = {} if logs is None else logs
        logs |= {f"val_{name}": value for name, value in found.items()}
        self._epoch_end.on_epoch_end(epoch, logs)
        self.model.stop_training = self._copy.model.stop_training
