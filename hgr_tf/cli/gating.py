"""The gate of an export: asked before a version is published, shown as a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hgr_tf.cli.metrics_table import figure

if TYPE_CHECKING:
    from hgr_tf.comparing.gate import Candidate
    from hgr_tf.comparing.gate_config import GateConfig
    from hgr_tf.comparing.gate_report import GateReport


def approval(
    config: GateConfig, source: Path, candidate: Candidate, output: Path, seed: int
) -> Callable[[Path], None]:
    """Returns what `export_for_serving` takes as `approve`.

    It judges the version, prints every line, leaves the report beside it, and raises
    where a line failed.

    Args:
        config: The gate.
        source: Its file, for errors.
        candidate: The run that is exported.
        output: Folder of the published versions.
        seed: Seed of random requests.

    Raises:
        ValueError: The data, the split or a slice is not there.
    """
    from hgr_tf.comparing.gate import check_heads, parse_slices, run_gate
    from hgr_tf.training.run_data import load_data_of

    data = load_data_of(candidate.run, config.data)
    data.check_split(config.split)
    check_heads(config, candidate.run.model.heads)
    parse_slices(config, data.encoding)

    def approve(staged: Path) -> None:
        report = run_gate(config, candidate, data, staged, output, seed)
        _print(report, source)
        report.save(staged)
        report.raise_if_refused(str(source))

    return approve


def _print(report: GateReport, source: Path) -> None:
    version = report.served_version
    beside = "no version is served" if version is None else f"served: {version}"
    title = f"{source}, on {report.rows:,} rows of {report.split!r}; {beside}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("")
    table.add_column("is", justify="right")
    table.add_column("must be")
    table.add_column("")
    for line in report.lines:
        result = "holds" if line.passed else "FAILED"
        table.add_row(escape(line.what), figure(line.value), line.expected, result)
    console = Console()
    console.print(table)
    for text in report.skipped:
        console.print(f"not judged: {text}", markup=False, highlight=False)
