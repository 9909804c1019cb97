"""Metrics of runs, side by side on the terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

TITLES = {
    "gauc": "GAUC ↑",
    "auc": "AUC ↑",
    "log_loss": "LogLoss ↓",
    "pcoc": "PCOC → 1",
    "ece": "ECE ↓",
}
"""Metrics in the order of their columns; arrows say which way is better."""


def figure(value: float, form: str = ".4f") -> str:
    """A metric as text; "undefined" for NaN."""
    return "undefined" if value != value else format(value, form)


def print_metrics(rows: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Prints a row of metrics for each name."""
    shown = [name for name in TITLES if all(name in row for row in rows.values())]
    table = Table(title=title, title_justify="left")
    table.add_column()
    for name in shown:
        table.add_column(TITLES[name], justify="right")
    for label, row in rows.items():
        table.add_row(label, *(figure(row[name]) for name in shown))
    Console().print(table)
