"""LastWeights: the weights at a run's last checkpoints, and their average."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from hgr_tf.result_files import write_arrays
from hgr_tf.training.config import TrainingConfig
from hgr_tf.training.run_folder import RunError


def averaged_steps(settings: TrainingConfig, steps_per_epoch: int) -> list[int]:
    """The steps after which a run's weights are averaged, ascending; none by default.

    They are the last ones at which a run that is not interrupted writes checkpoints.

    Raises:
        ValueError: The run writes fewer.
    """
    averaged, every = settings.average_checkpoints, settings.checkpoints.every_steps
    if averaged is None:
        return []
    total = steps_per_epoch * settings.epochs
    steps = set(range(steps_per_epoch, total + 1, steps_per_epoch))
    steps |= set(range(every, total + 1, every) if every else ())
    if averaged > len(steps):
        raise ValueError(
            f"`training.average_checkpoints` must be at most {len(steps)}, the "
            f"checkpoints that the run writes, got {averaged}; more are written with "
            "`training.checkpoints.every_steps`"
        )
    return sorted(steps)[-averaged:]


class LastWeights:
    """The weights of the last checkpoints that a run writes by its config, on disk.

    A checkpoint of SIGTERM is none of them, so that a run that was interrupted
    averages the same steps as one that was not.

    Args:
        folder: Where they are; made by the first `save`.
        steps: The steps whose weights are averaged.
        weights: The weights: trainable ones of the ranker, as the codebooks and what
            else is learned beside it are not averaged.
    """

    def __init__(
        self, folder: str | Path, steps: Sequence[int], weights: Sequence[tf.Variable]
    ) -> None:
        self._folder = Path(folder)
        self._steps = tuple(steps)
        self._weights = tuple(weights)

    def save(self, step: int) -> None:
        """Keeps the weights after a step, if they are to be averaged."""
        if step not in self._steps:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        values = {
            str(i): tf.convert_to_tensor(weight).numpy()
            for i, weight in enumerate(self._weights)
        }
        write_arrays(self._path(step), values)

    def assign_average(self) -> None:
        """Puts the average of the kept weights into the model; nothing without steps.

        Raises:
            RunError: A file of them is missing or damaged.
        """
        if not self._steps:
            return
        for i, weight in enumerate(self._weights):
            # One array at a time, as tables may be large; float64, as the sum of
            # equal weights must be their multiple.
            values = [self._load(step, str(i)) for step in self._steps]
            mean = np.mean(values, axis=0, dtype=np.float64)
            weight.assign(mean.astype(values[0].dtype))

    def _load(self, step: int, name: str) -> np.ndarray:
        path = self._path(step)
        try:
            with np.load(path) as arrays:
                return arrays[name]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{path}: missing or damaged ({error}), and its weights are to be "
                "averaged: train the run anew with --overwrite"
            ) from error

    def _path(self, step: int) -> Path:
        return self._folder / f"weights-{step}.npz"
