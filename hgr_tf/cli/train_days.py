"""`hgr-tf train-days`: one prepared folder after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.options import InitFrom, RunSeed
from hgr_tf.cli.stages import load_tensorflow


def train_days(
    days: Annotated[
        list[Path], typer.Argument(help="Prepared folders, the oldest first.")
    ],
    config: Annotated[
        Path, typer.Option(help="YAML file of every day's run; data.path is the day's.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the runs; else runs/<name of the config>."),
    ] = None,
    init_from: InitFrom = None,
    seed: RunSeed = None,
) -> None:
    """Train day by day: each day is evaluated before it is trained on.

    Every day begins with the model of the day before, and its new ids with the rows
    that `init_from.new_rows` says. Run again, it repeats no finished day.
    OUTPUT/days.json holds the metrics of all days.
    """
    load_tensorflow()
    from hgr_tf import training
    from hgr_tf.cli.metrics_table import print_metrics

    settings = training.RunConfig.load(config).override(seed=seed)
    settings = settings.beginning_with(init_from)
    output = output or Path("runs") / config.stem
    report = training.train_days(settings, days, output)
    split = settings.data.train
    before = {one["day"]: one["before"] for one in report if one["before"]}
    if before:
        print_metrics(before, title=f"{split!r} of each day, before it was trained on")
    split = settings.data.validation
    after = {one["day"]: one["after"] for one in report}
    print_metrics(after, title=f"{split!r} of each day, after")
