"""`hgr-tf tune`: the search that `hgr-tf compare` gives each method, alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.options import Comparison, ComparisonFolder, Prepared


def tune(
    config: Comparison,
    method: Annotated[
        str | None,
        typer.Option(help="Which of its methods. Default: the baseline."),
    ] = None,
    data: Prepared = None,
    output: ComparisonFolder = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Runs of the search, instead of the config's."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Seed of the search and its runs, instead of the config's first.",
        ),
    ] = None,
) -> None:
    """Search the settings of one method, and print the best as a run's config.

    The search is kept in OUTPUT/tuning/METHOD/tuning.db and goes on from there;
    `hgr-tf compare` with the same config and output takes it over.
    """
    from hgr_tf.comparing import CompareConfig
    from hgr_tf.comparing.tuning import tune as search

    settings = CompareConfig.load(config)
    if data is not None:
        settings = settings.with_data(data)
    if seed is not None:
        settings = settings.model_copy(update={"seeds": (seed,)})
    if trials is not None:
        tuning = settings.tuning.model_copy(update={"trials": trials})
        settings = settings.model_copy(update={"tuning": tuning})
    if not settings.tuning.trials:
        raise ValueError(f"{config}: `tuning.trials` must be at least 1, got 0")
    method = method or settings.baseline
    if method not in settings.methods:
        raise ValueError(
            f"--method must be one of {sorted(settings.methods)}, got {method!r}"
        )
    output = output or Path("comparisons") / config.stem
    found = search(settings, method, output / "tuning" / method)
    best = settings.run(method, settings.seeds[0], **found)
    typer.echo(f"# {method}, best of {settings.tuning.trials}: {found}")
    typer.echo(best.to_yaml(), nl=False)
