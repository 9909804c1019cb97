"""Day by day: each day is evaluated before it is trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hgr_tf.data import PreparedData
from hgr_tf.features import FeatureEncoding
from hgr_tf.result_files import defined_or_nan, plain, write_text
from hgr_tf.training.build_and_evaluate import build_model, evaluate
from hgr_tf.training.config import InitFrom, RunConfig
from hgr_tf.training.run import Run
from hgr_tf.training.run_folder import RunError, RunFolder
from hgr_tf.training.run_metrics import run_metrics
from hgr_tf.training.trainer import train
from hgr_tf.training.warm_start import WarmStart

REPORT = "days.json"
_BEFORE = "before.json"


def train_days(
    config: RunConfig, days: Sequence[str | Path], output: str | Path
) -> list[dict[str, Any]]:
    """Trains on one prepared folder after the other, each from where the last ended.

    The first day begins as the config says. Every further one is evaluated on its
    training split with the model of the day before, as serving would have met it,
    and then trained on. A day that is finished is not repeated, so an interrupted
    call goes on.

    Args:
        config: Config of every day; `data.path` is each day's. A schedule that decays
            does so within each day: "constant" is the choice for long chains.
        days: Prepared folders in order, each encoded with the encoding of the one
            before, whose vocabularies may have grown.
        output: Folder of the runs, one for each day by its folder's name.

    Returns:
        For each day "day", "run", "before": metrics of its training split by the
        model of the day before, None for the first; "after": metrics of its
        validation split; and "evicted": how many ids of each feature were taken from
        values unseen for long and given to new ones, if any were. days.json holds the
        same.

    Raises:
        ValueError: Days have equal names, or a day cannot be trained on.
    """
    paths = [Path(day) for day in days]
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        raise ValueError(f"days must have folders of different names, got {names}")
    config.distribution.check_one_process("a chain of days")
    goes_on = config.init_from is not None and config.init_from.optimizer
    if goes_on and not config.training.keep_optimizer:
        raise ValueError(
            "`training.keep_optimizer` must be true where `init_from.optimizer` is: "
            "each day goes on with that of the day before"
        )
    first = config
    if config.init_from and config.init_from.run is None:
        first = config.model_copy(update={"init_from": None})
    output = Path(output)
    report: list[dict[str, Any]] = []
    previous: Path | None = None
    for name, path in zip(names, paths, strict=True):
        folder = output / name
        today = first if previous is None else config.beginning_with(previous)
        today = today.override(data__path=str(path))
        before = None
        if previous is not None and today.init_from is not None:
            kept = folder.with_name(f"{name}.{_BEFORE}")
            before = _before(today, today.init_from, previous, kept)
        run = train(today, folder, verbose=2)
        evicted = _evicted(run, previous)
        report.append(
            {
                "day": name,
                "run": str(folder),
                "before": before,
                "after": run.metrics,
                **({"evicted": evicted} if evicted else {}),
            }
        )
        write_text(output / REPORT, json.dumps(plain(report), indent=1) + "\n")
        previous = folder
    return report


def _evicted(run: Run, previous: Path | None) -> dict[str, int]:
    """How many ids of each feature stand for other values than on the day before."""
    if previous is None:
        return {}
    earlier = FeatureEncoding.load(RunFolder(previous).encoding)
    found = {
        name: len(run.encoding.reused_ids(name, earlier))
        for name in earlier.vocabularies
        if name in run.encoding.vocabularies
    }
    return {name: count for name, count in found.items() if count}


def _before(
    config: RunConfig, begin: InitFrom, previous: Path, kept: Path
) -> dict[str, float]:
    """Metrics of a day's training split by the model that it starts from.

    Raises:
        RunError: They were taken of a model that was trained anew since.
    """
    begins_with = RunFolder(previous).weights_digest()
    if kept.exists():
        told = json.loads(kept.read_text(encoding="utf-8"))
        if told["weights_sha256"] == begins_with:
            return defined_or_nan(told["metrics"])
        raise RunError(
            f"{previous}: trained anew since the days after it: remove "
            f"{kept} and the runs of the later days"
        )
    data = PreparedData.load(config.data.path, reader=config.data.reader)
    model = build_model(config, data.encoding)
    WarmStart(begin, data.encoding).init_model(model)
    model.compile(metrics=run_metrics(config.metrics))
    found = evaluate(model, data, config.data.train)
    told = plain({"weights_sha256": begins_with, "metrics": found})
    write_text(kept, json.dumps(told, indent=1) + "\n")
    return found
