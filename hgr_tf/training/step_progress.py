"""StepProgress: says how far training is, to whoever listens to the logger."""

from __future__ import annotations

import logging
import time
from typing import Any

import tensorflow as tf

log = logging.getLogger(__name__)
SHOWN = ("loss", "log_loss", "occupancy")
_SECONDS = 0.5


class StepProgress(tf.keras.callbacks.Callback):
    """Logs the step of the epoch and its loss, at most twice a second.

    Args:
        epochs: Epochs of the run.
    """

    def __init__(self, epochs: int):
        super().__init__()
        self._supports_tf_logs = True  # values are converted only when shown
        self._epochs = epochs
        self._epoch = 0
        self._next = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Says that an epoch begins; the first step traces the model."""
        self._epoch = epoch
        self._say("first step", 0, self.params.get("steps"))

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Logs a step, if the last one was long enough ago."""
        if time.monotonic() >= self._next:
            values = logs or {}
            shown = (f"{n} {float(values[n]):.4f}" for n in SHOWN if n in values)
            self._say(", ".join([*shown, "step"]), batch + 1, self.params.get("steps"))

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs a step of the evaluation."""
        if time.monotonic() >= self._next:
            self._say("evaluating, step", batch + 1, None)

    def _say(self, what: str, done: int, total: int | None) -> None:
        self._next = time.monotonic() + _SECONDS
        text = f"epoch {self._epoch + 1} of {self._epochs}, {what}"
        log.info(text, extra={"done": done, "total": total})
