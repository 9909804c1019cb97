"""Processes that a run starts on this machine, and that end with it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hgr_tf.pipelines.errors import PrepareError

_START_SECONDS = 300

_ENDS_WITH_PARENT = """
parent=$1
shift
(while kill -0 "$parent"; do sleep 1; done; kill -9 0) >/dev/null 2>&1 &
exec "$@"
"""
"""Runs a program, and kills its process group when a process is gone."""


@contextlib.contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen]:
    """Runs a program in a process group of its own, which ends with the block.

    It also ends with this process, which may be killed before the block ends.

    Args:
        command: The program and its arguments.
        log: File that its output is appended to.
    """
    with (
        log.open("ab") as file,
        subprocess.Popen(
            ["/bin/sh", "-c", _ENDS_WITH_PARENT, "sh", str(os.getpid()), *command],
            stdout=file,
            stderr=file,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            # What it started outlives it where it was killed.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(
    is_ready: Callable[[], bool],
    name: str,
    processes: Sequence[subprocess.Popen],
    log: Path,
) -> None:
    """Waits until processes that were started do their work.

    Raises:
        PrepareError: One ended, or they took too long: the last line of the log.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready():
        ended = any(process.poll() is not None for process in processes)
        if ended or time.monotonic() > deadline:
            told = log.read_text(errors="replace").strip().splitlines()
            raise PrepareError(
                f"{name} {'ended' if ended else 'is not ready'} at its start: "
                f"{told[-1] if told else 'without a word'}"
            )
        time.sleep(0.1)


def free_port() -> int:
    """Finds a port of this machine that nothing listens on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Tells whether something listens on a port of this machine."""
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
