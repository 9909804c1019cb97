"""ResumableFit: Keras's `fit` from any step on, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from hgr_tf.compat import progress_bar
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.config import TrainingConfig
from hgr_tf.training.epoch_end import EpochEnd
from hgr_tf.training.optimizer import EvaluateAverages
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.step_end import StepEnd
from hgr_tf.training.step_progress import StepProgress

Callback: TypeAlias = tf.keras.callbacks.Callback


class ResumableFit:
    """Trains the rest of an epoch, then whole epochs.

    Args:
        model: A compiled model.
        settings: How long, how often to save, and when to stop early.
        steps: Steps of an epoch.
        batches: The training batches of some epochs, with a number of steps of the
            first of them left out.
        validation: The validation batches of one epoch's end.
        verbose: As in Keras's `fit`.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        settings: TrainingConfig,
        *,
        steps: int,
        batches: Callable[[range, int], Any],
        validation: Callable[[], Any],
        verbose: int,
    ):
        self._model = model
        self._settings = settings
        self._steps = steps
        self._batches = batches
        self._validation = validation
        self._verbose = verbose

    def run(
        self,
        trained: int,
        folder: RunFolder,
        checkpoints: Checkpoints,
        *,
        diagnostics: Sequence[Callback] = (),
        faulty_batch: Callable[[Any], Any] = lambda batch: batch,
        log_every: int = 100,
    ) -> None:
        """Trains on after `trained` steps, to the last epoch or an early stop.

        Args:
            trained: Steps that were trained before.
            folder: Where history, best weights and TensorBoard's logs are written.
            checkpoints: Where the state is saved.
            diagnostics: Callbacks that add to what an epoch logs.
            faulty_batch: What is written of a batch whose loss is not finite.
            log_every: Steps between two logs for TensorBoard.
        """
        epochs = self._settings.epochs
        step_end = StepEnd(
            checkpoints,
            trained,
            self._steps,
            self._settings.checkpoints.every_steps,
            lambda step: faulty_batch(self._batch_of(step)),
            folder.faulty_batch,
        )
        callbacks = [
            EvaluateAverages(),
            progress_bar(),
            StepProgress(epochs),
            *diagnostics,
            step_end,
            EpochEnd(folder, step_end, self._settings.early_stopping),
            tf.keras.callbacks.TensorBoard(
                folder.tensorboard, write_graph=False, update_freq=log_every
            ),
        ]
        epoch, done = divmod(trained, self._steps)
        try:
            if done:
                self._fit(epoch, epoch + 1, done, callbacks)
                epoch += 1
            if epoch < epochs and not self._model.stop_training:
                self._fit(epoch, epochs, 0, callbacks)
        finally:
            step_end.release()

    def _batch_of(self, step: int) -> Any:
        """The batch of a step, counted from 0 over all epochs."""
        epoch, done = divmod(step, self._steps)
        return next(iter(self._batches(range(epoch, epoch + 1), done)))

    def _fit(
        self, first: int, end: int, done: int, callbacks: Sequence[Callback]
    ) -> None:
        self._model.fit(
            self._batches(range(first, end), done),
            validation_data=self._validation(),
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=self._steps - done,
            callbacks=list(callbacks),
            shuffle=False,  # the dataset does, and Keras 3 would warn of it
            verbose=self._verbose,
        )
