"""Worker processes on this machine, which Beam's runner or an engine starts.

Without them, workers are threads of the process that runs the job.
"""

from __future__ import annotations

import contextlib
import json
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from hgr_tf.pipelines.running import worker_boot

_EMBEDDED = {
    "FlinkRunner": ("flink_master", r"\[(auto|local)\]"),
    "SparkRunner": ("spark_master_url", r"local(\[.+\])?"),
}
"""Beam's option for an engine's address, and its values inside the job server."""

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
        workers: Number of processes; 1 leaves it to the runner, unless the engine is
            a cluster, for which Beam would start containers.
        options: Beam's options; what they say of workers holds, if they come after
            those that are given here.
    """
    given = PipelineOptions([*options]).get_all_options()
    if runner == "FnApiRunner" and workers > 1:
        yield [
            f"--direct_num_workers={workers}",
            "--direct_running_mode=multi_processing",
        ]
        return
    if runner not in _EMBEDDED:
        yield []
        return
    option, pattern = _EMBEDDED[runner]
    embedded = re.fullmatch(pattern, given[option]) is not None
    parallelism = _parallelism(runner, workers, embedded)
    if given["environment_type"] or (embedded and workers == 1):
        yield parallelism
        return
    # Each task manager of a cluster has workers of its own.
    here = workers if embedded else 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = json.dumps({"command": str(boot_program(Path(folder)))})
        yield [
            "--environment_type=PROCESS",
            f"--environment_config={command}",
            f"--environment_cache_millis={_IDLE_MILLISECONDS}",
            f"--sdk_worker_parallelism={here}",
            *parallelism,
        ]


def _parallelism(runner: str, workers: int, embedded: bool) -> list[str]:
    """Gives Beam's option for how much an engine does at a time."""
    if workers == 1:
        return []
    if runner == "FlinkRunner":
        return [f"--parallelism={workers}"]
    # A Spark cluster does as much as it has cores.
    return [f"--spark_master_url=local[{workers}]"] if embedded else []


def boot_program(folder: Path) -> Path:
    """Writes the program that starts a worker, and installs things in the folder."""
    path, module = folder / "boot", worker_boot.__file__
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {module} {folder} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
