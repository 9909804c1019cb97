"""ResumableFit: Keras's `fit` from any step on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from hgr_tf.training.step_end import StepEnd


class ResumableFit:
    """Trains the rest of an epoch, then whole epochs.

    Args:
        model: A compiled model.
        steps: Steps of an epoch.
        epochs: Epochs of the whole run.
        batches: The training batches of some epochs, with a number of steps of the
            first of them left out.
        validation: The validation batches of one epoch's end.
        verbose: As in Keras's `fit`.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        *,
        steps: int,
        epochs: int,
        batches: Callable[[range, int], Any],
        validation: Callable[[], Any],
        verbose: int,
    ):
        self._model = model
        self._steps = steps
        self._epochs = epochs
        self._batches = batches
        self._validation = validation
        self._verbose = verbose

    def run(
        self,
        trained: int,
        step_end: StepEnd,
        callbacks: Sequence[tf.keras.callbacks.Callback],
    ) -> None:
        """Trains on after `trained` steps, to the last epoch or an early stop.

        Args:
            trained: Steps that were trained before.
            step_end: One of the callbacks; SIGTERM is given back at the end.
            callbacks: All of them.
        """
        epoch, done = divmod(trained, self._steps)
        try:
            if done:
                self._fit(epoch, epoch + 1, done, callbacks)
                epoch += 1
            if epoch < self._epochs and not self._model.stop_training:
                self._fit(epoch, self._epochs, 0, callbacks)
        finally:
            step_end.release()

    def batch_of(self, step: int) -> Any:
        """The batch of a step, counted from 0 over all epochs."""
        epoch, done = divmod(step, self._steps)
        return next(iter(self._batches(range(epoch, epoch + 1), done)))

    def _fit(
        self,
        first: int,
        end: int,
        done: int,
        callbacks: Sequence[tf.keras.callbacks.Callback],
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
