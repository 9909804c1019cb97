"""Does the pipeline pay? Rows/s a core against a naive one, and peak memory.

    python -m benchmarks.pipeline [--rows N] [--data FOLDER]

Both read the same Parquet log, check every row, join both tables, build the
vocabularies, encode and write gzipped TFRecords. Each case runs in a process of its
own; a core's rows/s are rows over the processor seconds of that process, imports
left out. Prints JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("HGR_SHARED_DATA", ROOT.parent / "shared" / "data"))
SPEC = ROOT / "examples" / "kuairand_pure" / "spec.yaml"
COLUMNS = ["user_id", "video_id", "long_view"]
ROW_GROUP = 131_072


def write_log(data: Path, folder: Path, rows: int, copies: int) -> list[str]:
    """KuaiRand's rows, repeated up to `rows`, in as many files as `copies`."""
    parts = [
        pq.read_table(data / f"{n}.parquet", columns=COLUMNS) for n in ("train", "val")
    ]
    whole = pa.concat_tables([part.cast(parts[1].schema) for part in parts])
    repeated = pa.concat_tables([whole] * -(-rows // whole.num_rows)).slice(0, rows)
    paths = [folder / f"log-{i}.parquet" for i in range(copies)]
    for path in paths:
        pq.write_table(repeated, path, row_group_size=ROW_GROUP)
    return [str(path) for path in paths]


def run_vectorised(data: Path, logs: list[str], output: str) -> None:
    from hgr_tf.pipelines.run import prepare

    prepare(
        SPEC,
        logs,
        output,
        user_table=data / "user_features_pure.csv",
        item_table=data / "video_features_basic_pure.csv",
    )


def run_naive(data: Path, logs: list[str], output: str) -> None:
    from benchmarks.naive_pipeline import prepare

    prepare(SPEC, logs, output, data)


RUNNERS = {"vectorised": run_vectorised, "naive": run_naive}


def measure(case: str, data: Path, logs: list[str], output: str) -> dict:
    """Runs one case in this process."""
    run = RUNNERS[case]
    # Imports are not what is measured.
    if case == "naive":
        import benchmarks.naive_pipeline  # noqa: F401
    else:
        pass
    wall, cpu = time.perf_counter(), time.process_time()
    run(data, logs, output)
    return {
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def in_process(name: str, case: str, data: Path, logs: list[str], rows: int) -> dict:
    """Measures one case in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = json.dumps([case, str(data), logs, f"{folder}/out"])
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            __spec__.name,
            "--case",
            arguments,
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    rate = round(rows / found["cpu_seconds"])
    return {"case": name, "rows": rows, "rows_per_s_core": rate, **found}


def main(
    rows: Annotated[int, typer.Option(min=1, help="Rows of the 1x log.")] = 1_048_576,
    naive_rows: Annotated[int, typer.Option(min=1, help="Of the naive one.")] = 131_072,
    data: Annotated[Path, typer.Option(help="The KuaiRand-Pure part.")] = SHARED
    / "kuairand_pure_partial",
    case: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure the pipeline against a naive one."""
    if case:
        name, folder, logs, output = json.loads(case)
        print(json.dumps(measure(name, Path(folder), logs, output)))
        return
    if not data.exists():
        raise SystemExit(f"no data in {data}: give --data, the KuaiRand-Pure part")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "naive").mkdir()
        small = write_log(data, root / "naive", naive_rows, 1)
        logs = write_log(data, root, rows, 4)
        naive = in_process("naive", "naive", data, small, naive_rows)
        one = in_process("1x", "vectorised", data, logs[:1], rows)
        four = in_process("4x", "vectorised", data, logs, 4 * rows)
    result = {
        "rows_per_s_core": one["rows_per_s_core"],
        "naive_rows_per_s_core": naive["rows_per_s_core"],
        "ratio": round(one["rows_per_s_core"] / naive["rows_per_s_core"], 2),
        "peak_mb_1x": one["peak_mb"],
        "peak_mb_4x": four["peak_mb"],
        "cases": [naive, one, four],
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
