"""ResumableFit: Keras's `fit` from any step on, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import tensorflow as tf

from hgr_tf.compat import progress_bar
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.config import TrainingConfig
from hgr_tf.training.epoch_end import EpochEnd
from hgr_tf.training.last_weights import LastWeights
from hgr_tf.training.optimizer import EvaluateAverages
from hgr_tf.training.rest_of_run import fit_rest_of_run
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.step_end import StepEnd
from hgr_tf.training.step_progress import StepProgress
from hgr_tf.training.workers import Share, Workers

Callback: TypeAlias = tf.keras.callbacks.Callback

_PROFILED = 11, 20


class ResumableFit:
    """Trains the rest of an epoch, then whole epochs.

    Args:
        model: A compiled model.
        settings: How long, how often to save, and when to stop early.
        steps: Steps of an epoch.
        batches: The training batches of some epochs, with a number of steps of the
            first of them left out; a worker's share of each.
        validation: The validation batches of one epoch's end; a worker's share of each.
        validation_steps: How many these are, for several workers; Keras counts them
            for one.
        verbose: As in Keras's `fit`.
        workers: Who trains; by default this process.
        last_weights: Keeps the weights of the checkpoints that are averaged.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        settings: TrainingConfig,
        *,
        steps: int,
        batches: Callable[[range, int, Share], Any],
        validation: Callable[[Share], Any],
        verbose: int,
        validation_steps: int | None = None,
        workers: Workers | None = None,
        last_weights: LastWeights | None = None,
    ):
        self._model = model
        self._settings = settings
        self._steps = steps
        self._batches = batches
        self._validation = validation
        self._validation_steps = validation_steps
        self._workers = workers or Workers()
        self._last_weights = last_weights
        self._verbose = verbose if self._workers.is_chief else 0

    def run(
        self,
        trained: int,
        folder: RunFolder,
        checkpoints: Checkpoints,
        *,
        diagnostics: Sequence[Callback] = (),
        faulty_batch: Callable[[Any], Any] = lambda batch: batch,
        log_every: int = 100,
        profile: bool = False,
    ) -> None:
        """Trains on after `trained` steps, to the last epoch or an early stop.

        Args:
            trained: Steps that were trained before.
            folder: Where history, best weights and TensorBoard's logs are written.
            checkpoints: Where the state is saved.
            diagnostics: Callbacks that add to what an epoch logs.
            faulty_batch: What is written of a batch whose loss is not finite.
            log_every: Steps between two logs for TensorBoard.
            profile: Whether to write a trace of steps 11 to 20, or of the last ones
                that there are, beside TensorBoard's logs.
        """
        epochs = self._settings.epochs
        step_end = StepEnd(
            checkpoints,
            trained,
            self._steps,
            self._settings.checkpoints.every_steps,
            lambda step: faulty_batch(self._batch_of(step)),
            folder.faulty_batch,
            self._workers,
            self._last_weights,
        )
        callbacks = [
            EvaluateAverages(),
            progress_bar(),
            StepProgress(epochs),
            *diagnostics,
            step_end,
            EpochEnd(folder, step_end, self._settings.early_stopping),
            tf.keras.callbacks.TensorBoard(
                folder.tensorboard,
                write_graph=False,
                update_freq=log_every,
                profile_batch=self._profiled(trained) if profile else 0,
            ),
        ]
        fit = partial(self._fit, callbacks)
        try:
            fit_rest_of_run(fit, self._model, trained, self._steps, epochs)
        finally:
            step_end.release()

    def _profiled(self, trained: int) -> tuple[int, int]:
        """The first and last step to trace, as `fit` counts them from 1."""
        done = trained % self._steps
        left = self._steps - done if done else self._steps * self._settings.epochs
        return min(_PROFILED[0], left), min(_PROFILED[1], left)

    def _batch_of(self, step: int) -> Any:
        """The batch of a step, counted from 0 over all epochs."""
        epoch, done = divmod(step, self._steps)
        return next(iter(self._batches(range(epoch, epoch + 1), done, (0, 1))))

    def _fit(
        self, callbacks: Sequence[Callback], first: int, end: int, done: int
    ) -> None:
        epochs = range(first, end)
        self._model.fit(
            self._workers.share(lambda share: self._batches(epochs, done, share)),
            validation_data=self._workers.share(self._validation),
            validation_steps=self._validation_steps,
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=self._steps - done,
            callbacks=list(callbacks),
            shuffle=False,  # the dataset does, and Keras 3 would warn of it
            verbose=self._verbose,
        )
