"""compare(): every method, every seed, then what they differ by and a verdict."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from hgr_tf.comparing.calibrating import platt
from hgr_tf.comparing.compared_head import with_head
from hgr_tf.comparing.config import CompareConfig
from hgr_tf.comparing.differences import Difference, differences
from hgr_tf.comparing.figures import (
    BY_USER,
    Predictions,
    UserSums,
    by_activity,
    figures,
    reliability,
)
from hgr_tf.comparing.one_run import (
    GROUPS,
    describe_once,
    finished_result,
    limit_threads,
    load_predictions,
    run_folder,
    run_once,
)
from hgr_tf.comparing.pre_check import FILE as PRE_CHECK
from hgr_tf.comparing.pre_check import pre_check, seed_spread
from hgr_tf.comparing.predicting import history_of
from hgr_tf.comparing.sliced_differences import check_slices, sliced_differences
from hgr_tf.comparing.tuning import tune
from hgr_tf.comparing.verdict import decide
from hgr_tf.result_files import plain, write_text

Told = Callable[[str, str, float | None], None]

_RUNS_PER_PROCESS = 4
"""TensorFlow keeps the data of a run as long as its process lives."""


def compare(
    config: CompareConfig,
    output: str | Path,
    *,
    workers: int | None = None,
    only_pre_check: bool = False,
    told: Told = lambda method, state, value: None,
) -> dict[str, Any]:
    """Runs a comparison, or goes on with one that was interrupted.

    Every method is tuned by the same search; the tuned baseline is checked for what
    there is to win (see `hgr_tf.comparing.pre_check`); then every method is trained
    with every seed, in parallel processes. A finished run is a file and is not
    repeated.

    Args:
        config: What is compared.
        output: Folder of the comparison: a folder for each method and seed, and
            results.json and report.html at the end.
        workers: Processes; by default one for each core.
        only_pre_check: Ends after the check of the baseline, which comes first.
        told: Is told of progress: method, what happened, and a figure or None.

    Returns:
        What results.json holds; or {"pre_check": ...} alone.

    Raises:
        ValueError: The data or a config cannot be used, or the folder holds another
            comparison.
    """
    output, config = Path(output), with_head(config)
    check_slices(config)
    _open(config, output)
    workers = workers or os.cpu_count() or 1
    with _pool(workers) as pool:
        names = [config.baseline] if only_pre_check else [*config.methods]
        found = _tuned(config, names, output, pool, told)
        checked = pre_check(config, output, found, pool)
        told(config.baseline, "checked", None)
        if only_pre_check:
            return {"pre_check": checked}
        _trained(config, output, found, workers, told)
        _described(config, output, pool)
    results = summarize(config, output, found)
    write_text(output / "results.json", json.dumps(results, indent=1) + "\n")
    from hgr_tf.comparing.report import html_report

    write_text(output / "report.html", html_report(results))
    return results


def summarize(
    config: CompareConfig, output: str | Path, found: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """What the finished runs of a comparison say.

    Args:
        config: Config of the comparison.
        output: Its folder.
        found: What the search found for each method.
    """
    runs = {
        method: [load_predictions(run_folder(output, method, s)) for s in config.seeds]
        for method in config.methods
    }
    parts = {
        metric: {name: list(map(by_user, own)) for name, own in runs.items()}
        for metric, by_user in BY_USER.items()
    }
    to_baseline = {
        metric: differences(sums, config.baseline) for metric, sums in parts.items()
    }
    methods = {}
    for name, own in runs.items():
        summary = _of_method(config, output, name, own)
        summary["tuned"] = found[name]
        if name != config.baseline:
            gauc, loss = (to_baseline[metric][name] for metric in parts)
            control = _to_control(config, name, parts["gauc"])
            verdict = decide(
                gauc, loss, config.smallest_gain, config.largest_loss, control
            )
            summary["difference"] = {
                "gauc": gauc._asdict(),
                "log_loss": loss._asdict(),
            }
            summary["control"] = control and {
                "name": config.controls[name],
                **control._asdict(),
            }
            summary["verdict"] = verdict._asdict()
        methods[name] = summary
    return plain(
        {
            "baseline": config.baseline,
            "split": config.split,
            "seeds": list(config.seeds),
            "smallest_gain": config.smallest_gain,
            "largest_loss": config.largest_loss,
            "pre_check": json.loads((Path(output) / PRE_CHECK).read_text()),
            "seed_spread": seed_spread(runs[config.baseline]),
            "slices": sliced_differences(config, runs),
            "methods": methods,
        }
    )


def _of_method(
    config: CompareConfig, output: str | Path, name: str, own: list[Predictions]
) -> dict[str, Any]:
    folders = [run_folder(output, name, seed) for seed in config.seeds]
    results = [json.loads((f / "result.json").read_text()) for f in folders]
    values = [figures(predictions) for predictions in own]
    before, after = platt(own[0])
    history = json.loads((folders[0] / "history.json").read_text())
    return {
        "figures": {
            metric: {
                "mean": float(np.mean([value[metric] for value in values])),
                "std": float(np.std([value[metric] for value in values], ddof=1))
                if len(values) > 1
                else float("nan"),
                "by_seed": [value[metric] for value in values],
            }
            for metric in values[0]
        },
        "cpu_seconds": float(np.median([r["cpu_seconds"] for r in results])),
        "ms_per_step": float(
            np.median([1000 * r["cpu_seconds"] / r["steps"] for r in results])
        ),
        "peak_mb": float(np.median([r["peak_mb"] for r in results])),
        "platt": {"before": figures(before), "after": figures(after)},
        "by_activity": by_activity(own[0]),
        "reliability": reliability(own[0]),
        "history": history_of(history, config.head or ""),
        "groups": json.loads((folders[0] / GROUPS).read_text()),
    }


def _to_control(
    config: CompareConfig, name: str, sums: Mapping[str, Sequence[UserSums]]
) -> Difference | None:
    if name not in config.controls:
        return None
    control = config.controls[name]
    pair = {control: sums[control], name: sums[name]}
    return differences(pair, control)[name]


def _tuned(
    config: CompareConfig,
    names: Iterable[str],
    output: Path,
    pool: ProcessPoolExecutor,
    told: Told,
) -> dict[str, dict[str, Any]]:
    if not config.tuning.trials:
        return {name: {} for name in names}
    waiting = {
        pool.submit(tune, config, name, output / "tuning" / name): name
        for name in names
    }
    found = {}
    for future in as_completed(waiting):
        name = waiting[future]
        found[name] = future.result()
        told(name, "tuned", None)
    return found


def _trained(
    config: CompareConfig,
    output: Path,
    found: dict[str, dict[str, Any]],
    workers: int,
    told: Told,
) -> None:
    """Trains every method with every seed, in processes that end after some runs."""
    unfinished = []
    for seed in config.seeds:
        for name in config.methods:
            result = finished_result(run_folder(output, name, seed))
            if result is None:
                unfinished.append((name, seed))
            else:
                told(name, "trained", result["figures"]["gauc"])
    most = _RUNS_PER_PROCESS * workers
    for start in range(0, len(unfinished), most):
        with _pool(workers) as pool:
            waiting = {}
            for name, seed in unfinished[start : start + most]:
                run = config.run(name, seed, **found[name])
                folder = run_folder(output, name, seed)
                future = pool.submit(run_once, run, folder, config.split, config.head)
                waiting[future] = name
            for future in as_completed(waiting):
                result = future.result()
                told(waiting[future], "trained", result["figures"]["gauc"])


def _described(config: CompareConfig, output: Path, pool: ProcessPoolExecutor) -> None:
    """Has the groups of each method's codes written, for its first seed."""
    waiting = [
        pool.submit(
            describe_once,
            run_folder(output, name, config.seeds[0]),
            config.split,
            config.head,
        )
        for name in config.methods
    ]
    for future in as_completed(waiting):
        future.result()


def _pool(workers: int) -> ProcessPoolExecutor:
    threads = max((os.cpu_count() or 1) // workers, 1)
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=limit_threads,
        initargs=(threads,),
    )


def _open(config: CompareConfig, output: Path) -> None:
    """Makes the folder, or checks that it holds this comparison."""
    kept = output / "compare.json"
    text = config.model_dump_json(indent=1)
    if kept.exists():
        before = CompareConfig.model_validate_json(kept.read_text(encoding="utf-8"))
        # Further seeds, and methods beside those that were run, go on from there.
        shared = {"base", "baseline", "evaluate", "head", "tuning"}
        same = before.model_dump(include=shared) == config.model_dump(include=shared)
        common = set(before.methods) & set(config.methods)
        if not same or any(before.methods[m] != config.methods[m] for m in common):
            raise ValueError(
                f"{output}: holds another comparison; choose another --output"
            )
    elif output.exists() and any(output.iterdir()):
        raise ValueError(f"{output}: not empty, and not a comparison")
    output.mkdir(parents=True, exist_ok=True)
    write_text(kept, text)
