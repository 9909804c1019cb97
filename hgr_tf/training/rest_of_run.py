"""The calls of Keras's `fit` that train the rest of a run."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def fit_rest_of_run(
    fit: Callable[[int, int, int], None],
    model: tf.keras.Model,
    trained: int,
    steps: int,
    epochs: int,
) -> None:
    """Trains the rest of an epoch that was begun, then whole epochs.

    Args:
        fit: Trains from one epoch, counted from 0, up to another, with a number of
            steps of the first left out.
        model: What is trained; no epoch follows once it says `stop_training`.
        trained: Steps that were trained before.
        steps: Steps of an epoch.
        epochs: Epochs of the run.
    """
    epoch, done = divmod(trained, steps)
    if done:
        fit(epoch, epoch + 1, done)
        epoch += 1
    if epoch < epochs and not model.stop_training:
        fit(epoch, epochs, 0)
