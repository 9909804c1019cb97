"""Worker processes on this machine, which Beam's runner or an engine starts.

Without them, workers are threads of the process that runs the job.
"""

from __future__ import annotations

import contextlib
import json
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from hgr_tf.pipelines.running import worker_boot

_PARALLELISM = {
    "FlinkRunner": "--parallelism={}",
    "SparkRunner": "--spark_master_url=local[{}]",
}
"""Beam's options for how much an engine does at a time."""

_IDLE_MILLISECONDS = 2_000
"""How long a worker waits for its next stage; to start another takes seconds.

A job that is retried sooner than that gets the worker again that it lost.
"""


@contextlib.contextmanager
def worker_processes(
    runner: str, workers: int, options: Sequence[str]
) -> Iterator[list[str]]:
    """Gives Beam's options for a runner that shall start worker processes.

    Args:
        runner: Beam's name of the runner.
        workers: Number of processes; 1 leaves it to the runner.
        options: Beam's options; what they say of workers holds, if they come after
            those that are given here.
    """
    given = PipelineOptions([*options]).get_all_options()
    if workers > 1 and runner == "FnApiRunner":
        yield [
            f"--direct_num_workers={workers}",
            "--direct_running_mode=multi_processing",
        ]
        return
    if workers == 1 or runner not in _PARALLELISM or given["environment_type"]:
        yield []
        return
    # Each task manager of a Flink cluster has workers of its own.
    here = 1 if given["flink_master"].strip("[]") not in ("auto", "local") else workers
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = json.dumps({"command": str(boot_program(Path(folder)))})
        yield [
            "--environment_type=PROCESS",
            f"--environment_config={command}",
            f"--environment_cache_millis={_IDLE_MILLISECONDS}",
            f"--sdk_worker_parallelism={here}",
            _PARALLELISM[runner].format(workers),
        ]


def boot_program(folder: Path) -> Path:
    """Writes the program that starts a worker, and installs things in the folder."""
    path, module = folder / "boot", worker_boot.__file__
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {module} {folder} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
