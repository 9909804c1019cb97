"""Workers: the processes that train a run together."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import tensorflow as tf

from hgr_tf.training.interrupted import WorkerLostError
from hgr_tf.training.run_folder import RunError, RunFolder

Share: TypeAlias = tuple[int, int]
"""(index, count): which part of each batch a worker reads."""

_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Workers:
    """The processes that train a run, of which this is one.

    All of them compute the same, and each of these methods but `is_chief` must be
    called by all. Only what the chief writes is kept.

    Args:
        strategy: Of the run; by default that of the scope, which is one process.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None):
        self.strategy = strategy or tf.distribute.get_strategy()
        spanning = tf.distribute.MultiWorkerMirroredStrategy
        self.are_several = isinstance(self.strategy, spanning)

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker whose files are kept."""
        return not self.are_several or self.strategy.extended.should_checkpoint

    def mean(self, number: float) -> float:
        """The mean of the workers' numbers; waits until all of them have called."""
        if not self.are_several:
            return number

        @tf.function
        def of_replicas() -> Any:
            return self.strategy.run(lambda: tf.constant(number, tf.float64))

        return float(self.strategy.reduce("MEAN", of_replicas(), axis=None))

    def wait(self) -> None:
        """Waits until all workers have come here."""
        self.mean(0.0)

    def any(self, flag: bool) -> bool:
        """Whether the flag of any worker is set."""
        return self.mean(float(flag)) > 0

    def share(self, batches: Callable[[Share], tf.data.Dataset]) -> Any:
        """What `fit` is to read on this worker: its share of each batch.

        The replicas of all workers, in order, get what is the batch of one process.
        """
        if not self.are_several:
            return batches((0, 1))

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = context.num_input_pipelines
            own = batches((context.input_pipeline_id, count))
            replicas = context.num_replicas_in_sync // count
            return own if replicas == 1 else _split(own, replicas)

        return self.strategy.distribute_datasets_from_function(of_worker)

    @contextlib.contextmanager
    def folder(self, folder: RunFolder) -> Iterator[RunFolder]:
        """The folder to work in: the chief's is the run's, that of others a copy.

        Others write what the chief writes, as reading a metric needs them all; their
        copies are removed. On leaving, they wait until the chief is done.

        Raises:
            RunError: A worker does not see the folder of the chief.
        """
        self.wait()  # until the chief has opened it
        with contextlib.ExitStack() as stack:
            own = folder
            if not self.is_chief:
                place = tempfile.TemporaryDirectory(prefix="hgr-tf-worker-")
                own = _copied(folder, Path(stack.enter_context(place)) / "run")
            self.wait()  # until the copies are made
            yield own
            self.wait()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Tells of a lost worker in place of TensorFlow's error.

        Raises:
            WorkerLostError: A worker was lost.
        """
        try:
            yield
        except _LOST as error:
            servers = tf.distribute.ParameterServerStrategy
            if not (self.are_several or isinstance(self.strategy, servers)):
                raise
            raise WorkerLostError(
                "another worker of the run ended or cannot be reached: start all of "
                "them again, and training goes on from the last checkpoint "
                f"({' '.join(str(error).split()):.200})"
            ) from error


def _copied(folder: RunFolder, to: Path) -> RunFolder:
    if not folder.path.exists():
        raise RunError(
            f"{folder.path}: not there on this worker: `--output` must be in a file "
            "system that all workers share"
        )
    ignored = shutil.ignore_patterns(folder.tensorboard.name)
    shutil.copytree(folder.path, to, ignore=ignored)
    return RunFolder(to)


def _split(batches: tf.data.Dataset, parts: int) -> tf.data.Dataset:
    """Each batch as several, for the replicas of a worker."""

    def split(*batch: Any) -> tf.data.Dataset:
        rows = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]

        def part(index: tf.Tensor) -> Any:
            start, stop = rows * index // parts, rows * (index + 1) // parts
            return tf.nest.map_structure(lambda x: x[start:stop], batch)

        return tf.data.Dataset.range(parts).map(part)

    return batches.flat_map(split).prefetch(tf.data.AUTOTUNE)
