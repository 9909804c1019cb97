"""compare(): every method, every seed, then what they differ by and a verdict."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from hgr_tf.comparing.config import CompareConfig
from hgr_tf.comparing.differences import Difference, differences
from hgr_tf.comparing.figures import (
    Predictions,
    by_activity,
    figures,
    gauc_by_user,
    log_loss_by_user,
    platt,
    reliability,
)
from hgr_tf.comparing.one_run import limit_threads, load_predictions, run_once
from hgr_tf.comparing.tuning import tune
from hgr_tf.comparing.verdict import decide

Told = Callable[[str, str, float | None], None]


def compare(
    config: CompareConfig,
    output: str | Path,
    *,
    workers: int | None = None,
    told: Told = lambda method, state, value: None,
) -> dict[str, Any]:
    """Runs a comparison, or goes on with one that was interrupted.

    Every method is tuned by the same search; then every method is trained with
    every seed, in parallel processes. A finished run is a file and is not repeated.

    Args:
        config: What is compared.
        output: Folder of the comparison: a folder for each method and seed, and
            results.json and report.html at the end.
        workers: Processes; by default one for each core.
        told: Is told of progress: method, what happened, and a figure or None.

    Returns:
        What results.json holds.

    Raises:
        ValueError: The data or a config cannot be used, or the folder holds another
            comparison.
    """
    output = Path(output)
    _open(config, output)
    workers = workers or os.cpu_count() or 1
    with _pool(workers) as pool:
        found = _tuned(config, output, pool, told)
        _trained(config, output, found, pool, told)
    results = summarize(config, output, found)
    _write(output / "results.json", json.dumps(results, indent=1) + "\n")
    from hgr_tf.comparing.report import html_report

    _write(output / "report.html", html_report(results))
    return results


def run_folder(output: str | Path, method: str, seed: int) -> Path:
    """Folder of one run of a comparison."""
    return Path(output) / "runs" / method / str(seed)


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
        "gauc": {name: list(map(gauc_by_user, own)) for name, own in runs.items()},
        "log_loss": {
            name: list(map(log_loss_by_user, own)) for name, own in runs.items()
        },
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
            "seed_spread": _seed_spread(runs[config.baseline]),
            "methods": methods,
        }
    )


def _of_method(config, output, name, own: list[Predictions]) -> dict[str, Any]:
    folders = [run_folder(output, name, seed) for seed in config.seeds]
    results = [json.loads((f / "result.json").read_text()) for f in folders]
    values = [figures(predictions) for predictions in own]
    before, after = platt(own[0])
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
        "peak_mb": float(np.median([r["peak_mb"] for r in results])),
        "platt": {"before": figures(before), "after": figures(after)},
        "by_activity": by_activity(own[0]),
        "reliability": reliability(own[0]),
        "history": json.loads((folders[0] / "history.json").read_text()),
    }


def _to_control(config, name: str, sums) -> Difference | None:
    if name not in config.controls:
        return None
    control = config.controls[name]
    pair = {control: sums[control], name: sums[name]}
    return differences(pair, control)[name]


def _seed_spread(own: list[Predictions]) -> dict[str, float]:
    """What seeds alone make: of one run, and of the mean of two."""
    values = [figures(predictions) for predictions in own]
    spread = {
        metric: float(np.ptp([value[metric] for value in values]))
        for metric in ("gauc", "log_loss")
    }
    if len(own) > 1:
        both = (own[0].probabilities + own[1].probabilities) / 2
        ensemble = figures(own[0]._replace(probabilities=both))
        for metric in ("gauc", "log_loss"):
            single = (values[0][metric] + values[1][metric]) / 2
            spread[f"ensemble_{metric}"] = ensemble[metric] - single
    return spread


def _tuned(config, output, pool, told: Told) -> dict[str, dict[str, Any]]:
    if not config.tuning.trials:
        return {name: {} for name in config.methods}
    waiting = {
        pool.submit(tune, config, name, output / "tuning" / name): name
        for name in config.methods
    }
    found = {}
    for future in as_completed(waiting):
        name = waiting[future]
        found[name] = future.result()
        told(name, "tuned", None)
    return found


def _trained(config, output, found, pool, told: Told) -> None:
    waiting = {}
    for seed in config.seeds:
        for name in config.methods:
            run = config.run(name, seed, **found[name])
            folder = run_folder(output, name, seed)
            future = pool.submit(run_once, run, folder, config.split)
            waiting[future] = name
    for future in as_completed(waiting):
        result = future.result()
        told(waiting[future], "trained", result["figures"]["gauc"])


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
        shared = {"base", "baseline", "evaluate", "tuning"}
        same = before.model_dump(include=shared) == config.model_dump(include=shared)
        common = set(before.methods) & set(config.methods)
        if not same or any(before.methods[m] != config.methods[m] for m in common):
            raise ValueError(
                f"{output}: holds another comparison; choose another --output"
            )
    elif output.exists() and any(output.iterdir()):
        raise ValueError(f"{output}: not empty, and not a comparison")
    output.mkdir(parents=True, exist_ok=True)
    _write(kept, text)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def plain(value: Any) -> Any:
    """A structure as JSON has it: NaN becomes None, numpy's numbers Python's."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
