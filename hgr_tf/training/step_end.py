"""What happens at the end of a step: the loss is watched, checkpoints are written."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from hgr_tf.result_files import write_arrays
from hgr_tf.training.checkpoints import Checkpoints, NotFiniteError
from hgr_tf.training.interrupted import TrainingInterruptedError
from hgr_tf.training.last_weights import LastWeights
from hgr_tf.training.workers import Workers


class StepEnd(tf.keras.callbacks.Callback):
    """Watches the loss, writes checkpoints, and stops when the process is told to.

    Put it before the callbacks that write what the logs say.

    Args:
        checkpoints: Checkpoints of the run.
        first: Steps that were trained before.
        steps_per_epoch: Steps of an epoch; at its last one the epoch's end saves.
        every: Steps between two checkpoints; None for those of epochs alone.
        batch_of: The batch of a step, counted from 0, to be written down when the
            loss stops being finite; None where nobody knows it.
        faulty_batch: The file that such a batch is written to.
        workers: Who trains; several stop together, where they save or an epoch ends.
        last_weights: Keeps the weights of the checkpoints that are averaged.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        first: int,
        steps_per_epoch: int,
        every: int | None,
        batch_of: Callable[[int], Any] | None,
        faulty_batch: Path,
        workers: Workers,
        last_weights: LastWeights | None = None,
    ):
        super().__init__()
        self._checkpoints = checkpoints
        self.steps = first
        self._steps_per_epoch = steps_per_epoch
        self._every = every
        self._batch_of = batch_of
        self._faulty_batch = faulty_batch
        self._workers = workers
        self._last_weights = last_weights
        self._told_to_stop = threading.Event()
        self._handler: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Listens to SIGTERM, where this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(
                signal.SIGTERM, lambda *_: self._told_to_stop.set()
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives SIGTERM back."""
        self.release()

    def release(self) -> None:
        """Gives SIGTERM back to who had it before; also after an exception."""
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
            self._handler = None

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Checks the loss, and writes a checkpoint when it is time.

        Several workers stop at a checkpoint or an epoch's end, where all come to.

        Raises:
            NotFiniteError: The loss or a weight is not finite; checkpoints from
                before stay, and the batch is written down.
            TrainingInterruptedError: SIGTERM came; the step is saved.
        """
        self.steps += 1
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            self._refuse(f"the loss is {loss}")
        if self.steps % self._steps_per_epoch == 0:
            return
        is_due = self._every is not None and self.steps % self._every == 0
        if is_due:
            self.save()
        if is_due or not self._workers.are_several:
            self.stop_if_told()

    def save(self) -> None:
        """Writes a checkpoint of the steps so far.

        Raises:
            NotFiniteError: A weight is not finite.
        """
        # First: a run that goes on from a checkpoint has the weights of all before.
        if self._last_weights:
            self._last_weights.save(self.steps)
        try:
            self._checkpoints.save(self.steps)
        except NotFiniteError as error:
            self._refuse(str(error))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Goes on with the running means of an epoch that was interrupted."""
        if self.steps % self._steps_per_epoch:
            self._checkpoints.restore_means()

    def stop_if_told(self) -> None:
        """Saves the state and ends training if SIGTERM came to any worker.

        Raises:
            TrainingInterruptedError: SIGTERM came.
        """
        if self._workers.any(self._told_to_stop.is_set()):
            self.save()
            raise TrainingInterruptedError(
                f"stopped by SIGTERM after step {self.steps}, which is saved: the same "
                "command goes on from there"
            )

    def _refuse(self, reason: str) -> NoReturn:
        kept = "Checkpoints from before are kept"
        if self._batch_of:
            self._write_faulty_batch(self._batch_of)
            kept = (
                f"{self._faulty_batch} holds the batch of this step and of the one "
                "before; checkpoints from before are kept"
            )
        raise NotFiniteError(
            f"{reason} in step {self.steps} of the run: try a lower `learning_rate`. "
            f"{kept}"
        )

    def _write_faulty_batch(self, batch_of: Callable[[int], Any]) -> None:
        last = self.steps - 1
        arrays: dict[str, Any] = {}
        for step in range(max(last - 1, 0), last + 1):
            inputs, *others = batch_of(step)
            named = {**inputs, **dict(zip(("labels", "weights"), others, strict=False))}
            arrays |= {f"step_{step + 1}/{k}": np.asarray(v) for k, v in named.items()}
        write_arrays(self._faulty_batch, arrays, compress=True)
