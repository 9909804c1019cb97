"""Beam's portable runner on this machine, its workers in processes of their own.

The workers fetch what the job staged and install it, as on a cluster: with
`--setup_file` they get the package that setup.py builds, and nothing else of it.

    with local_cluster() as options:
        prepare(spec, inputs, output, runner="PortableRunner",
                beam_options=[*options, "--setup_file=./setup.py"])

The pool of workers is one engine's alone: it knows them by ids that each engine, and
each task manager of Flink, counts from 1.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hgr_tf.pipelines.running.processes import free_port, listens, running, wait_until
from hgr_tf.pipelines.running.workers import boot_program

_PYTHON = (sys.executable, "-m")
_BEAM = "apache_beam.runners"


@contextlib.contextmanager
def local_cluster() -> Iterator[list[str]]:
    """Starts a job service and a pool of workers; gives the options to reach them."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as stack,
    ):
        root = Path(folder)
        log, job_port, pool_port = root / "log", root / "job.port", free_port()

        service = [
            "portability.local_job_service_main",
            f"--port_file={job_port}",
            f"--staging_dir={root / 'staging'}",
        ]
        pool = [
            "worker.worker_pool_main",
            f"--service_port={pool_port}",
            f"--container_executable={boot_program(root)}",
        ]
        processes = [
            stack.enter_context(running([*_PYTHON, f"{_BEAM}.{name}", *arguments], log))
            for name, *arguments in (service, pool)
        ]
        wait_until(
            lambda: job_port.exists() and listens(pool_port),
            "Beam's job service",
            processes,
            log,
        )
        yield [
            f"--job_endpoint=localhost:{job_port.read_text()}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool_port}",
        ]
