"""What an engine costs: rows/s, processor seconds and memory of the same job on each.

    python -m benchmarks.engines [--rows 524288] [--case flink:2 ...]
    python -m benchmarks.engines --rows 10000000 --case flink-standalone:2

The job is the one of `benchmarks.pipeline` on Parquet shards: KuaiRand's rows, repeated
with other ids up to `rows`, with both tables. A case is an engine and its number of
worker processes. "local:1", the FnApiRunner in one process, is what the others are
compared with: `same_bytes` by MANIFEST.json, which holds the SHA-256 of every file, and
`overhead` is the share of the processor seconds that local:1 does without.
`engine_share` is that of the engine's own programs (Java, Prism). Memory is the peak of
each quarter of the job, of the largest process of a kind. Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from benchmarks.pipeline import COLUMNS, ROW_GROUP, SHARED, SPEC
from hgr_tf.data.manifest import Manifest
from hgr_tf.pipelines.running.flink_cluster import flink_cluster

RUNNERS = {
    "local": "FnApiRunner",
    "prism": "PrismRunner",
    "flink": "FlinkRunner",
    "flink-standalone": "FlinkRunner",
    "spark": "SparkRunner",
}
CASES = ["local:1", "local:2", "prism:1", "flink:1", "flink:2"]
CASES += ["flink-standalone:2", "spark:1", "spark:2"]
IDS = 1_000_000
"""More than any id of KuaiRand-Pure: the distance of two repetitions."""

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KINDS = {
    "hgr_tf.": "submitter",
    "worker": "worker",
    "TaskManagerRunner": "task_manager",
    "ClusterEntrypoint": "job_manager",
    "job-server": "job_server",
    "prism": "prism",
}
"""By a word of the command; the first one counts."""

ENGINE = {"task_manager", "job_manager", "job_server", "prism"}


def write_job(data: Path, folder: Path, rows: int) -> list[str]:
    """Writes log and tables; gives the arguments that name them."""
    parts = [
        pq.read_table(data / f"{n}.parquet", columns=COLUMNS) for n in ("train", "val")
    ]
    log = pa.concat_tables([part.cast(parts[1].schema) for part in parts])
    copies = -(-rows // log.num_rows)
    with pq.ParquetWriter(folder / "log.parquet", log.schema) as writer:
        for copy in range(copies):
            left = log.slice(0, rows - copy * log.num_rows)
            writer.write_table(_moved(left, copy), row_group_size=ROW_GROUP)
    arguments = [f"--input={folder}/log.parquet"]
    for owner, name in (("user", "user_features"), ("item", "video_features_basic")):
        table = pa.csv.read_csv(data / f"{name}_pure.csv")
        table = pa.concat_tables([_moved(table, copy) for copy in range(copies)])
        pa.csv.write_csv(table, folder / f"{name}.csv")
        arguments.append(f"--{owner}-table={folder}/{name}.csv")
    return arguments


def _moved(table: pa.Table, copy: int) -> pa.Table:
    """The rows with the ids of a repetition."""
    for name in {"user_id", "video_id"} & {*table.column_names}:
        moved = pc.add(table[name], copy * IDS)
        index = table.column_names.index(name)
        table = table.set_column(index, name, moved.cast(table.schema.field(name).type))
    return table


class Watch:
    """Processor seconds and memory of the processes below this one, by kind."""

    def __init__(self, root: int):
        self._root = root
        self._seconds: dict[int, tuple[str, float]] = {}
        self._memory: list[tuple[float, str, int]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Watch:
        self._before = dict(self._look())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._done.wait(0.5):
            self._seconds.update(self._look())

    def _look(self) -> Iterator[tuple[int, tuple[str, float]]]:
        """Kind and processor seconds of each process below the root."""
        for pid, (ticks, pages) in _below(self._root).items():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
                kind = next((k for word, k in KINDS.items() if word in command), None)
                if kind:
                    self._memory.append((time.monotonic(), kind, pages * PAGE >> 20))
                    yield pid, (kind, ticks / TICKS)

    def seconds(self) -> dict[str, float]:
        """Processor seconds by kind."""
        found: dict[str, float] = defaultdict(float)
        for pid, (kind, seconds) in self._seconds.items():
            found[kind] += seconds - self._before.get(pid, (kind, 0.0))[1]
        return {kind: round(seconds, 1) for kind, seconds in found.items()}

    def memory(self) -> dict[str, list[int]]:
        """Peak megabytes of the largest process of each kind, by quarter."""
        start, end = self._memory[0][0], self._memory[-1][0]
        found: dict[str, list[int]] = defaultdict(lambda: [0] * 4)
        for when, kind, megabytes in self._memory:
            quarter = min(int(4 * (when - start) / (end - start + 1e-9)), 3)
            found[kind][quarter] = max(found[kind][quarter], megabytes)
        return dict(found)


def _below(root: int) -> dict[int, tuple[int, int]]:
    """Ticks and pages of the processes below one."""
    stats: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything: state, parent, ...
            stats[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    ids, size = {root}, 0
    while size < len(ids):
        size = len(ids)
        ids |= {pid for pid, stat in stats.items() if int(stat[1]) in ids}
    return {
        pid: (int(stats[pid][11]) + int(stats[pid][12]), int(stats[pid][21]))
        for pid in ids - {root}
        if pid in stats
    }


def measure(case: str, arguments: list[str], rows: int, folder: Path) -> dict:
    """Runs one case in processes of its own."""
    engine, _, workers = case.partition(":")
    output = folder / case
    command = [sys.executable, "-W", "ignore", "-m", "hgr_tf.cli.main", "prepare"]
    command += [f"--spec={SPEC}", *arguments, f"--output={output}"]
    command += [f"--runner={RUNNERS[engine]}", f"--workers={workers}"]
    with contextlib.ExitStack() as stack:
        if engine == "flink-standalone":
            command += ["--", stack.enter_context(flink_cluster(int(workers)))]
        watch = stack.enter_context(Watch(os.getpid()))
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
    seconds = watch.seconds()
    total = sum(seconds.values())
    return {
        "case": case,
        "rows": rows,
        "rows_per_s": round(rows / wall),
        "wall_seconds": round(wall, 1),
        "cpu_seconds": seconds,
        "engine_share": round(sum(seconds.get(k, 0) for k in ENGINE) / total, 2),
        "peak_mb_by_quarter": watch.memory(),
        "manifest": Manifest.load(output).model_dump_json(),
    }


def main(
    rows: Annotated[int, typer.Option(min=1, help="Rows of the log.")] = 524_288,
    case: Annotated[
        list[str] | None,
        typer.Option(help="Engine and worker processes, such as flink:2. Repeat it."),
    ] = None,
    data: Annotated[Path, typer.Option(help="The KuaiRand-Pure part.")] = SHARED
    / "kuairand_pure_partial",
) -> None:
    """Measure the same job on several engines."""
    if not data.exists():
        raise SystemExit(f"no data in {data}: give --data, the KuaiRand-Pure part")
    cases = ["local:1", *(c for c in case or CASES if c != "local:1")]
    with tempfile.TemporaryDirectory() as folder:
        arguments = write_job(data, Path(folder), rows)
        found = [measure(c, arguments, rows, Path(folder)) for c in cases]
    manifest, needed = found[0]["manifest"], sum(found[0]["cpu_seconds"].values())
    for result in found:
        total = sum(result["cpu_seconds"].values())
        result["overhead"] = round(1 - needed / total, 2)
        result["same_bytes"] = result.pop("manifest") == manifest
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
