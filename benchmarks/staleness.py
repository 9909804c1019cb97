"""What does a ranker lose when serving's histories are older than training's?

    python -m benchmarks.staleness [--age 1h] [--seeds N] [--spec SPEC --input LOG]

Rows of the split "val" are prepared anew for each age, with the `delay` of every
history and counter raised by it: what serving would know if its histories were that
much older. Each ranker is trained on fresh ones and evaluated on all ages ("stale"),
and another one is trained with the same delay as it is served with ("delayed"): the
cure. Prints JSON, means over the seeds of

    fresh           LogLoss, AUC and GAUC without any age
    stale, delayed  by age, how much each figure lies above the fresh one

Data: the log that `--spec` and `--input` name; else the days of KuaiRand-Pure's part
that have times, six of them, so that 7d leaves no history at all; else generated logs.

A past that ends at each row, as `--as-of row` has it, moves within a user's rows, and
GAUC must not be compared under it (docs/histories.md); `day` has one past for a user
and day.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from benchmarks.pipeline import ROOT, SHARED
from hgr_tf.features import FeatureSpec
from hgr_tf.features.durations import in_units
from hgr_tf.features.splits import TRAIN

FIGURES = ("log_loss", "auc", "gauc")
RANKER = "ranker: {type: mlp}\ntraining: {batch_size: 1024, epochs: 2}\n"
GENERATED = """
history:
  clicked: {of: item_id, with: [category], where: {label: 1}, length: 20}
counters:
  user_rate: {by: user_id, windows: [all, 1d], prior: 0.25}
  user_category: {by: [user_id, category], prior: 0.25}
"""


@dataclass(frozen=True)
class Log:
    """What is prepared: a spec whose splits go by time, files, and tables."""

    spec: FeatureSpec
    inputs: list[str]
    tables: Mapping[str, Any]


def aged(spec: FeatureSpec, age: str, as_of: str) -> FeatureSpec:
    """The spec whose histories and counters know nothing of the last `age`.

    Args:
        spec: A spec with histories or counters, and times.
        age: How much older, such as "1h"; "0s" for as they are.
        as_of: Where the past of rows of "val" ends, before any delay.
    """
    sections = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    unit = spec.time_unit
    for section in (*sections["history"].values(), *sections["counters"].values()):
        section["delay"] = in_units(section["delay"], unit) + in_units(age, unit)
        given = section.get("as_of") or {}
        given = {TRAIN: given} if isinstance(given, str) else given
        section["as_of"] = {**given, "val": as_of}
    return FeatureSpec.model_validate(sections)


def given(path: Path, inputs: list[str], tables: dict[str, Path | None]) -> Log:
    """A spec of the user's, whose tables lie where it says unless they are given."""
    spec = FeatureSpec.load(path)
    if spec.split is None or "val" not in spec.split.names:
        raise typer.BadParameter(f"{path}: `split` must have a part 'val'")
    for owner, table in spec.tables.items():
        if tables[owner] is None and table.path:
            tables[owner] = path.parent / table.path
    named = {f"{owner}_table": table for owner, table in tables.items() if table}
    return Log(spec, inputs, named)


def kuairand(data: Path) -> Log:
    """The days of the KuaiRand-Pure part that have times; the last two are "val"."""
    path = ROOT / "examples" / "kuairand_pure" / "spec_histories.yaml"
    sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    del sections["order"]
    sections |= {"time": "time_ms", "time_unit": "ms"}
    start = "2022-04-29T00:00:00+08:00"
    sections["split"] = {"by": "time", "starts": {"val": start}}
    tables = {
        "user_table": data / "user_features_pure.csv",
        "item_table": data / "video_features_basic_pure.csv",
    }
    spec = FeatureSpec.model_validate(sections)
    return Log(spec, [str(data / "val.parquet")], tables)


def generated(folder: Path, rows: int) -> Log:
    """Generated logs of a week; the last day is "val"."""
    from hgr_tf.data.synthetic import write_logs

    logs = write_logs(folder, rows=rows)
    spec = FeatureSpec.from_yaml(logs.spec.read_text(encoding="utf-8") + GENERATED)
    tables = {"user_table": folder / "users.csv", "item_table": folder / "items.csv"}
    return Log(spec, [str(logs.log)], tables)


def prepared(log: Log, age: str, as_of: str, folder: Path) -> Path:
    """Prepares the log at an age, encoded as without any."""
    from hgr_tf.pipelines.run import prepare

    fresh, output = folder / "0s", folder / age
    encoding = None if output == fresh else str(fresh)
    spec = aged(log.spec, age, as_of)
    prepare(spec, log.inputs, output, encoding_from=encoding, **log.tables)
    return output


def figures_of(
    config: Path | None, seed: int, data: Mapping[str, Path], folder: Path
) -> dict[str, dict[str, np.ndarray]]:
    """Trains a ranker on each age's data; evaluates each, and the fresh one on all."""
    from hgr_tf.data import PreparedData
    from hgr_tf.training import RunConfig, evaluate, train

    text = config.read_text(encoding="utf-8") if config else RANKER
    found: dict[str, dict[str, np.ndarray]] = {"stale": {}, "delayed": {}}
    fresh = None
    for age, path in data.items():
        given = yaml.safe_load(text) | {"data": {"path": str(path)}, "seed": seed}
        run = train(
            RunConfig.model_validate(given), folder / f"{age}-{seed}", verbose=0
        )
        fresh = fresh or run
        split = PreparedData.load(path)
        for kind, model in (("stale", fresh.model), ("delayed", run.model)):
            metrics = evaluate(model, split, "val")
            found[kind][age] = np.array([metrics[name] for name in FIGURES])
    return found


def summary(runs: list[dict[str, dict[str, np.ndarray]]]) -> dict[str, Any]:
    """Means over the seeds, and the standard deviation of differences."""
    fresh = np.array([run["stale"]["0s"] for run in runs])
    told: dict[str, Any] = {"fresh": _named(fresh.mean(axis=0))}
    for kind in ("stale", "delayed"):
        told[kind] = {}
        for age in [age for age in runs[0][kind] if age != "0s"]:
            change = np.array([run[kind][age] for run in runs]) - fresh
            told[kind][age] = _named(change.mean(axis=0))
            if len(runs) > 1:
                told[kind][age]["std"] = _named(change.std(axis=0, ddof=1))
    return told


def _named(figures: np.ndarray) -> dict[str, Any]:
    return dict(zip(FIGURES, figures.round(5).tolist(), strict=True))


def main(
    age: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    as_of: Annotated[str, typer.Option(help="Of val: row, day or split.")] = "row",
    seeds: Annotated[int, typer.Option(min=1, help="Rankers of each kind.")] = 1,
    config: Annotated[Path | None, typer.Option(help="Config of the ranker.")] = None,
    spec: Annotated[
        Path | None, typer.Option(help="Its split, by time, must have a part val.")
    ] = None,
    input_: Annotated[list[str] | None, typer.Option("--input")] = None,
    user_table: Annotated[Path | None, typer.Option()] = None,
    item_table: Annotated[Path | None, typer.Option()] = None,
    data: Annotated[Path, typer.Option(help="The KuaiRand-Pure part.")] = SHARED
    / "kuairand_pure_partial",
    rows: Annotated[int, typer.Option(min=1_000, help="To generate.")] = 200_000,
) -> None:
    """Measure what older histories cost."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if spec:
            tables = {"user": user_table, "item": item_table}
            log = given(spec, input_ or [], tables)
        else:
            log = kuairand(data) if data.exists() else generated(folder / "log", rows)
        ages = ["0s", *(age or ["1h", "1d", "7d"])]
        paths = {one: prepared(log, one, as_of, folder) for one in ages}
        runs = [figures_of(config, s, paths, folder / "runs") for s in range(seeds)]
    told = {"log": log.spec.name, "as_of": as_of, "seeds": seeds, **summary(runs)}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    typer.run(main)
