"""How each step of the pipeline grows with the rows, for docs/scale.md.

    python -m benchmarks.scale [--rows 65536 --rows 196608 --rows 589824] [--case plain]

Each case of `benchmarks.scale_cases` runs at three sizes, on the in-process runner, in
processes of its own, where every element that Beam groups by a key is counted (and its
bytes, pickled); and, where a step holds something whole, once more with all of it in
one place. The cases of `benchmarks.scale_values` take as many distinct values of one
feature as others take rows. Prints JSON: for each figure its `values` by size, its
`marginal` (what a further row adds, between the two largest sizes) and its `exponent`:
k of a + b * rows ** k through the three sizes, None where the figure does not grow.
"""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from benchmarks import shuffled
from benchmarks.memory import Peak
from benchmarks.scale_cases import CASES, write_inputs
from benchmarks.scale_values import STEPS, TYPES

SIZES = [65_536, 196_608, 589_824]
"""One, three and nine batches of rows."""

MODES = ("whole", "held")
_SMALL = 1e-9


def bytes_by_stage(temporary: str) -> Counter[str]:
    """Bytes of a run's temporary files, by the folder of each stage."""
    found: Counter[str] = Counter()
    root = Path(temporary)
    for path in root.rglob("*"):
        if path.is_file():
            found[path.relative_to(root).parts[0]] += path.stat().st_size
    return found


def run_case(
    name: str, rows: int, mode: str, seed: int, folder: Path
) -> dict[str, float]:
    """Runs a case once in this process; gives its figures by name."""
    from hgr_tf.features import FeatureSpec
    from hgr_tf.pipelines import run, settings
    from hgr_tf.pipelines.steps import deal_groups

    case, remove = CASES[name], run.remove_temporary
    stages: Counter[str] = Counter()

    def look_and_remove(finished: Any) -> None:
        stages.update(bytes_by_stage(finished.temporary))
        remove(finished)

    run.remove_temporary = look_and_remove
    arguments = write_inputs(case, rows, folder, seed)
    pa.default_memory_pool().release_unused()  # or what it took would be used again
    if mode == "held":
        settings._FEWEST_PARTITIONS = 1
        arguments["shard_rows"] = rows
    if not case.grouped:
        deal_groups.MOST_PLACES = 1 << 62
    shuffled.install()
    output = folder / f"out-{mode}"
    spec = FeatureSpec.from_yaml(case.spec)
    with Peak() as peak:
        wall, cpu = time.perf_counter(), time.process_time()
        run.prepare(spec, output=output, seed=seed, **arguments)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if mode == "held":
        return {"peak_bytes_in_one_place": peak.bytes}
    results = sum(p.stat().st_size for p in output.rglob("*") if p.is_file())
    return {
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "peak_bytes": peak.bytes,
        "bytes_of_results": results,
        **{f"bytes_of_{stage}": size for stage, size in stages.items()},
        **{f"elements_to_{name}": n for name, n in shuffled.ELEMENTS.items()},
        **{f"bytes_to_{name}": n for name, n in shuffled.BYTES.items()},
    }


def growth(sizes: list[int], values: list[float]) -> dict[str, Any]:
    """What a further row adds, and the exponent k of a + b * rows ** k.

    Example:
        >>> growth([1, 3, 9], [5, 7, 13])["exponent"]
        1.0
    """
    first, second = (b - a for a, b in itertools.pairwise(values))
    found: dict[str, Any] = {"values": [round(value, 3) for value in values]}
    found["marginal"] = float(f"{second / (sizes[2] - sizes[1]):.4g}")
    ratio = sizes[1] / sizes[0]
    # Of less than a hundredth nothing can be said: it is noise, or it does not grow.
    grows = min(first, second) > max(_SMALL, 0.01 * abs(values[2]))
    even = math.isclose(sizes[2] / sizes[1], ratio, rel_tol=0.01)
    exponent = math.log(second / first) / math.log(ratio) if grows and even else None
    found["exponent"] = None if exponent is None else round(exponent, 2)
    return found


def measured(name: str, sizes: list[int], seed: int) -> dict[str, Any]:
    """The growth of every figure of a case."""
    figures: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(sizes))
    for at, rows in enumerate(sizes):
        with tempfile.TemporaryDirectory() as folder:
            for mode in _modes(name):
                found = _in_process(name, rows, mode, seed, folder)
                for figure, value in found.items():
                    figures[figure][at] = value
    holds = {"holds": CASES[name].holds} if name in CASES else {}
    return holds | {figure: growth(sizes, v) for figure, v in figures.items()}


def _modes(name: str) -> tuple[str, ...]:
    if name in TYPES:
        return tuple(STEPS)
    return MODES if CASES[name].holds else MODES[:1]


def _in_process(
    name: str, rows: int, mode: str, seed: int, folder: str
) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale"]
    command += ["--seed", str(seed), "--one", json.dumps([name, rows, mode, folder])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _chosen(names: list[str] | None) -> Iterator[str]:
    known = [*CASES, *TYPES]
    for name in names or known:
        if name not in known:
            raise typer.BadParameter(f"--case must be one of {known}, got {name!r}")
        yield name


def main(
    rows: Annotated[
        list[int] | None, typer.Option(min=1_000, help="Rows: three sizes.")
    ] = None,
    case: Annotated[list[str] | None, typer.Option(help="Case. Repeat it.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the logs.")] = 0,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure how each step of the pipeline grows."""
    if one:
        name, size, mode, folder = json.loads(one)
        if name in TYPES:
            found = STEPS[mode](TYPES[name], size, Path(folder), seed)
        else:
            found = run_case(name, size, mode, seed, Path(folder))
        print(json.dumps(found))
        return
    sizes = sorted(rows or SIZES)
    if len(sizes) != 3:
        raise typer.BadParameter(f"--rows must be given three times, got {sizes}")
    result: dict[str, Any] = {"rows": sizes, "seed": seed}
    for name in _chosen(case):
        result[name] = measured(name, sizes, seed)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
