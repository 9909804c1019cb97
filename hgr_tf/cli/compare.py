"""`hgr-tf compare`: does a method pay on your data?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.options import Comparison, ComparisonFolder, Prepared


def compare(
    config: Comparison,
    data: Prepared = None,
    output: ComparisonFolder = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Number of seeds, instead of the config's."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at once; by default one for each core."),
    ] = None,
    pre_check: Annotated[
        bool,
        typer.Option(
            "--pre-check",
            help="Only tune and check the baseline: what is there to win at all?",
        ),
    ] = False,
) -> None:
    """Compare methods, tuned alike and paired by seed, and say what pays.

    Run again after an interruption, it repeats no finished run. OUTPUT/report.html
    shows the result; results.json holds every figure.
    """
    from hgr_tf.cli.comparison_table import LiveTable, print_pre_check, print_verdicts
    from hgr_tf.comparing.compare import compare as run
    from hgr_tf.comparing.config import CompareConfig

    settings = CompareConfig.load(config)
    if data is not None:
        settings = settings.with_data(data)
    if seeds is not None:
        settings = settings.model_copy(update={"seeds": tuple(range(1, seeds + 1))})
    output = output or Path("comparisons") / config.stem
    with LiveTable(settings) as table:
        results = run(
            settings,
            output,
            workers=workers,
            only_pre_check=pre_check,
            told=table.told,
        )
    print_pre_check(results["pre_check"])
    if pre_check:
        return
    print_verdicts(results)
    typer.echo(f"{output / 'report.html'}: the whole of it")
