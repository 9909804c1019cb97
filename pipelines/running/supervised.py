"""Jobs that start processes on this machine, all of them in one process group.

The job runs in a child process; its group, which workers and engines belong to, ends
with it, and both end with this process, whatever ends that; a job on a cluster is then
cancelled there. Beam's local runner may wait forever for the answer of a worker that
died: there, the child ends with the first worker it loses. Flink and Spark start
another one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions

from hgr_tf.pipelines import graph
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.running import remote_jobs
from hgr_tf.pipelines.settings import Settings

_WORKER_THREAD = "run_worker"  # the local runner's thread that waits for a worker
_LOGGER = "apache_beam"
_TELLS = logging.getLogger(__name__)
_LOST_WORKER = "a worker process died"
_LOST_JOB = "the job's process died"
_LOST_RUNNER = "PrepareError: Beam's runner was lost during the job"


def run_supervised(settings: Settings, options: list[str]) -> None:
    """Runs the job of some settings.

    Args:
        settings: Settings of the run.
        options: Beam's options, the runner among them; of a job on a cluster with the
            name that `remote_jobs.named` gave.

    Raises:
        RuntimeError: The job failed; its text is that of the runner.
        PrepareError: A worker process, the job's process or the engine died.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job")
        level = logging.getLogger(_LOGGER).getEffectiveLevel()
        job.write_bytes(pickle.dumps((settings, options, level, os.getpid())))
        command = [sys.executable, "-m", __name__, str(job)]
        # Workers that survive another tell of it at length.
        quiet = subprocess.DEVNULL if level >= logging.CRITICAL else None
        process = subprocess.Popen(command, start_new_session=True, stderr=quiet)
        failed = True
        try:
            failed = process.wait() != 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if failed and remote_jobs.is_remote(options):
                _cancel(options)
        error = job.with_suffix(".error")
        if failed and error.exists():
            raise RuntimeError(error.read_text())
        if failed:
            # Of a worker that dies, Flink and Spark tell themselves.
            raise PrepareError(_LOST_WORKER if _is_local(options) else _LOST_JOB)


def _cancel(options: list[str]) -> None:
    """Cancels a job on a cluster, now that nothing sends it there any more."""
    try:
        ended = remote_jobs.cancel(options)
    except BaseException:  # such as a second Ctrl-C
        remote_jobs.cancel_from_outside(options)
        raise
    if not ended:
        _TELLS.warning(
            "warning: the job %s may still run on its cluster, which does not answer "
            "or has not ended it; cancel it there",
            remote_jobs.name_of(options),
        )


def _main(job: Path) -> None:
    settings, options, level, parent = pickle.loads(job.read_bytes())
    ends = threading.Thread(target=_end_with, args=(parent, options), daemon=True)
    ends.start()
    threading.excepthook = _end_with_worker
    logging.getLogger(_LOGGER).setLevel(level)
    try:
        with _ended_first(ends, parent):
            pipeline = beam.Pipeline(options=PipelineOptions(options))
            graph.build(pipeline, settings)
            pipeline.run().wait_until_finish()
    except grpc.RpcError as error:
        _fail(job, f"{_LOST_RUNNER}: {error.details()}")
    except PrepareError as error:
        _fail(job, f"PrepareError: {error}")
    except Exception as error:
        _fail(job, str(error) or repr(error))


@contextlib.contextmanager
def _ended_first(ends: threading.Thread, parent: int) -> Iterator[None]:
    """Leaves it to a thread to end this process, and its group, without a parent."""
    try:
        yield
    finally:
        if os.getppid() != parent:
            ends.join()


def _is_local(options: list[str]) -> bool:
    """Tells whether Beam's local runner runs the job."""
    return "--runner=FnApiRunner" in options


def _fail(job: Path, reason: str) -> None:
    job.with_suffix(".error").write_text(reason)
    os._exit(1)


def _end_with(parent: int, options: list[str]) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    try:
        if remote_jobs.is_remote(options):
            remote_jobs.cancel(options)
            # This group may be sending it right now, and is gone when it arrives.
            remote_jobs.cancel_from_outside(options)
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _end_with_worker(error: threading.ExceptHookArgs) -> None:
    if error.thread and error.thread.name == _WORKER_THREAD:
        os._exit(1)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
