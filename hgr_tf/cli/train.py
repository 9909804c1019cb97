"""`hgr-tf train`: prepared data and a config become a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.options import Epochs, InitFrom, Overwrite, Prepared, RunSeed
from hgr_tf.cli.stages import load_tensorflow


def train(
    config: Annotated[
        Path, typer.Option(help="YAML file of the run; see `hgr-tf docs training`.")
    ],
    data: Prepared = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Run folder; else runs/<name of the config>."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Preset (none, default, paper, ...) instead of the config's."
        ),
    ] = None,
    init_from: InitFrom = None,
    epochs: Epochs = None,
    seed: RunSeed = None,
    overwrite: Overwrite = False,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Write a trace of some steps for TensorBoard."),
    ] = False,
) -> None:
    """Train a ranker on prepared data.

    Run again after an interruption, it goes on from the last whole epoch; a
    finished run is shown as it is. OUTPUT/tensorboard holds the logs for
    TensorBoard.
    """
    load_tensorflow()
    from hgr_tf import training
    from hgr_tf.cli.metrics_table import print_metrics

    settings = training.RunConfig.load(config).override(
        data__path=data and str(data),
        method=method,
        training__epochs=epochs,
        seed=seed,
    )
    settings = settings.beginning_with(init_from)
    output = output or Path("runs") / config.stem
    was_finished = training.RunFolder(output).is_finished and not overwrite
    run = training.train(
        settings, output, overwrite=overwrite, verbose=2, profile=profile
    )
    if was_finished:
        typer.echo(f"{output}: finished before; --overwrite trains it anew")
    split = settings.data.validation
    print_metrics({output.name: run.metrics}, title=f"{output}, on {split!r}")
