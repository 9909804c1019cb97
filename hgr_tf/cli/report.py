"""`hgr-tf report`: one page of the plots of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.options import Prepared, UnusedSeed, need_compare


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of finished `hgr-tf train`.")
    ],
    output: Annotated[Path, typer.Option(help="HTML page to write.")] = Path(
        "report.html"
    ),
    data: Prepared = None,
    split: Annotated[
        str | None, typer.Option(help="Split to predict; else the validation split.")
    ] = None,
    seed: UnusedSeed = 0,
) -> None:
    """Draw runs side by side: curves, calibration, activity, the trie of codes."""
    need_compare("hgr-tf report")
    from hgr_tf.comparing.run_report import run_report
    from hgr_tf.result_files import write_text

    page = run_report(runs, data, split)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, page)
    typer.echo(f"{output}: {len(runs)} run{'s' * (len(runs) > 1)}")
