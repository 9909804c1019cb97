"""A standalone Flink cluster on this machine: a job manager and task managers.

Each is a Java process of its own, as on machines of their own; the jars are those of
`make engines`. From the command line, until it is interrupted:

    python -m hgr_tf.pipelines.running.flink_cluster --task-managers 2
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.running.engines import engine_options
from hgr_tf.pipelines.running.processes import free_port, running, wait_until

_RUNTIME = "org.apache.flink.runtime"
_JOB_MANAGER = f"{_RUNTIME}.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = f"{_RUNTIME}.taskexecutor.TaskManagerRunner"

_OPENED = ("java.lang", "java.nio", "java.time", "java.util")
"""Packages of Java that Flink reaches into, which Java 17 has to be told."""

_MEMORY = {
    # Flink's scripts work these out of one total; its programs want each of them.
    "jobmanager.memory.heap.size": "256m",
    "taskmanager.cpu.cores": "1",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.max": "192m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    # Sort buffers, and the largest record must fit into one: the counted values of the
    # vocabularies, which meet in one place.
    "taskmanager.memory.managed.size": "512m",
    "taskmanager.memory.network.max": "256m",
    "taskmanager.memory.network.min": "256m",
    "taskmanager.memory.task.heap.size": "384m",
    "taskmanager.memory.task.off-heap.size": "0",
}
_FAULTS = {
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "5",
    # By then a worker that died is forgotten, see workers.py.
    "restart-strategy.fixed-delay.delay": "10 s",
    # Two beats without an answer, and a task manager counts as lost.
    "heartbeat.interval": "2000",
    # Every task manager works, and one that is lost leaves enough slots.
    "cluster.evenly-spread-out-slots": "true",
    "taskmanager.numberOfTaskSlots": "2",
    # Each of the five retries waits as long for task managers when all are lost.
    "slot.request.timeout": "20000",
}
_LOADING = {
    # Beam is on the class path of the cluster; loaded again by each job, it would start
    # new workers for each stage.
    "classloader.resolve-order": "parent-first",
}


@contextlib.contextmanager
def flink_cluster(task_managers: int = 2) -> Iterator[str]:
    """Starts a cluster; gives Beam's option to reach it.

    Args:
        task_managers: Processes that run tasks. Jobs of so many workers use them all,
            and go on when one is lost.

    Raises:
        PrepareError: Java or the jars are missing, or the cluster does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        root, port = Path(folder), free_port()
        slots = 2 * task_managers
        (root / "config.yaml").write_text(_configuration(root, port))
        log = root / "log"
        programs = [(_JOB_MANAGER, 256), *[(_TASK_MANAGER, 512)] * task_managers]
        processes = [
            stack.enter_context(running(_command(program, heap, root), log))
            for program, heap in programs
        ]
        wait_until(lambda: _slots_of(port) == slots, "Flink", processes, log)
        yield f"--flink_master=localhost:{port}"


def _command(program: str, heap: int, folder: Path) -> list[str]:
    """Starts a program of Flink with a heap of so many megabytes."""
    (option,) = engine_options("FlinkRunner", [])
    jar = option.partition("=")[2]
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED]
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = ["java", *opened, f"-Xmx{heap}m", quiet, "-cp", jar, program]
    return [*command, f"--configDir={folder}"]


def _configuration(folder: Path, port: int) -> str:
    values = {
        "io.tmp.dirs": folder,
        "jobmanager.bind-host": "localhost",
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": free_port(),
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "rest.port": port,
        "taskmanager.bind-host": "localhost",
        "taskmanager.host": "localhost",
        **_MEMORY,
        **_FAULTS,
        **_LOADING,
    }
    return "".join(f"{name}: {value}\n" for name, value in values.items())


def _slots_of(port: int) -> int:
    """Slots of the task managers that the job manager knows."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://localhost:{port}/overview", timeout=5) as answer:
            return json.load(answer)["slots-total"]
    except OSError:  # it does not listen yet
        return 0


def _main() -> None:
    parser = argparse.ArgumentParser(description=flink_cluster.__doc__)
    parser.add_argument("--task-managers", type=int, default=2)
    count = parser.parse_args().task_managers
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        with flink_cluster(count) as master:
            print(
                "hgr-tf prepare --runner FlinkRunner "
                f"--workers {count} ... -- {master}",
                flush=True,
            )
            signal.pause()
    except PrepareError as error:
        sys.exit(f"flink_cluster: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    _main()
