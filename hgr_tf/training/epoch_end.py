"""What happens at the end of each epoch: history, best weights, checkpoint."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.training.config import EarlyStopping
from hgr_tf.training.early_stopping import best_epoch, should_stop
from hgr_tf.training.optimizer import averaged_weights
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.step_end import StepEnd


class EpochEnd(tf.keras.callbacks.Callback):
    """Records an epoch in the run folder, and stops early if told to.

    The history is all the state there is beside the checkpoint: a resumed run
    finds in it which epoch was best.

    Args:
        folder: Folder of the run.
        step_end: Writes the checkpoint, and knows whether to stop.
        stopping: When to stop early; None never stops.
    """

    def __init__(
        self,
        folder: RunFolder,
        step_end: StepEnd,
        stopping: EarlyStopping | None,
    ):
        super().__init__()
        self.folder = folder
        self.step_end = step_end
        self.stopping = stopping

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes history, weights if they are the best, then the checkpoint.

        In that order: after an interruption in between, the epoch is trained
        again, from the checkpoint before, and everything written again.

        Raises:
            TrainingInterruptedError: SIGTERM came; the epoch is saved.
            UndefinedMetricError: The metric to stop by is NaN.
        """
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        history = [*self.folder.history()[:epoch], metrics]
        self.folder.write_history(history)
        if self.stopping:
            if best_epoch(history, self.stopping) == epoch:
                with averaged_weights(self.model):
                    self.folder.save_weights(self.model)
            self.model.stop_training = should_stop(history, self.stopping)
        self.step_end.save()
        if not self.model.stop_training:
            self.step_end.stop_if_told()
