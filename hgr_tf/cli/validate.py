"""`hgr-tf validate`: whether data, or requests, still look as they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hgr_tf.cli.options import AsJson, UnusedSeed

if TYPE_CHECKING:
    from hgr_tf.comparing.drift import Finding
    from hgr_tf.comparing.snapshot import Snapshot

DRIFTED = 3
"""Exit code when data drifted; 1 is bad input and 2 wrong usage."""


def validate(
    statistics: Annotated[
        Path | None,
        typer.Option(help="statistics.json of the later `hgr-tf prepare`."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="statistics.json of the earlier one.")
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(help="Log of served requests, as `hgr-tf predict --input`."),
    ] = None,
    prepared: Annotated[
        Path | None,
        typer.Option(help="Output of `hgr-tf prepare` that requests must look like."),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(help="YAML of what counts as drift; see `hgr-tf docs pipelines`."),
    ] = None,
    as_json: AsJson = False,
    seed: UnusedSeed = 0,
) -> None:
    """Compare statistics of data with earlier ones, or requests with training.

    Exit codes: 0 nothing drifted, 3 something did, 1 bad input, 2 wrong usage.
    """
    from hgr_tf.comparing.drift import drift
    from hgr_tf.comparing.drift_config import DriftThresholds

    limits = DriftThresholds.load(thresholds) if thresholds else DriftThresholds()
    now, before = _snapshots(statistics, against, requests, prepared)
    found = drift(now, before, limits)
    drifted = [one for one in found if one.drifted]
    if as_json:
        from hgr_tf.result_files import plain

        lines = [one._asdict() | {"drifted": one.drifted} for one in found]
        told = {"drifted": bool(drifted), "measures": plain(lines)}
        typer.echo(json.dumps(told, allow_nan=False))
    else:
        _print(found, f"{now.source} against {before.source}")
        for one in drifted:
            typer.echo(f"drift: {one}")
    if drifted:
        raise typer.Exit(DRIFTED)


def _snapshots(
    statistics: Path | None,
    against: Path | None,
    requests: Path | None,
    prepared: Path | None,
) -> tuple[Snapshot, Snapshot]:
    from hgr_tf.comparing.snapshot import load_snapshot, snapshot_of_requests

    given = [value is not None for value in (statistics, against, requests, prepared)]
    if statistics and against and not any(given[2:]):
        return load_snapshot(statistics), load_snapshot(against)
    if requests and prepared and not any(given[:2]):
        return snapshot_of_requests(requests, prepared)
    raise ValueError(
        "--statistics must go with --against, or --requests with --prepared"
    )


def _print(found: list[Finding], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    names = {
        "missing_share": "missing",
        "unknown_share": "unknown",
        "jensen_shannon": "JS",
        "l_infinity": "L∞",
        "new_values": "new values",
        "label_rate": "label rate",
    }
    table = Table(title=title, title_justify="left")
    table.add_column("moved by")
    for text in names.values():
        table.add_column(text, justify="right")
    rows: dict[str, dict[str, Finding]] = {}
    for one in found:
        rows.setdefault(one.feature, {})[one.measure] = one
    for feature, measures in rows.items():
        cells = [_cell(measures.get(name)) for name in names]
        table.add_row(feature, *cells)
    Console().print(table)


def _cell(found: Finding | None) -> str:
    if found is None:
        return ""
    return f"{found.value:.4f}" + ("!" if found.drifted else "")
