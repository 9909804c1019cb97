"""Metrics of slices on the terminal."""

import re
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hgr_tf.cli.metrics_table import figure
from hgr_tf.comparing.intervals import Estimate
from hgr_tf.comparing.slices import Slice

_TITLES = {
    "gauc": "GAUC",
    "auc": "AUC",
    "mrr": "MRR",
    "log_loss": "LogLoss",
    "pcoc": "PCOC",
    "ece": "ECE",
}

_MOST_COLUMNS = 400


def print_slices(name: str, slices: Sequence[Slice]) -> None:
    """Prints a row for each slice: its metrics over their 95% intervals."""
    table = Table(title=f"{escape(name)}, with 95% intervals", title_justify="left")
    table.add_column("slice")
    table.add_column("rows", justify="right")
    table.add_column("users", justify="right")
    metrics = slices[0].metrics
    for metric in metrics:
        table.add_column(_title(metric), justify="right", no_wrap=True)
    for one in slices:
        cells = [_cell(one.metrics[metric]) for metric in metrics]
        table.add_row(escape(one.value), f"{one.rows:,}", f"{one.users:,}", *cells)
    # On a narrow terminal the lines wrap: cut figures would be worth nothing.
    console = Console()
    wide = console.options.update(width=_MOST_COLUMNS)
    needed = console.measure(table, options=wide).maximum
    Console(width=max(console.width, needed)).print(table)


def _title(metric: str) -> str:
    """The column of a metric, such as "NDCG@5" of "ndcg_5"."""
    at_k = re.fullmatch(r"(ndcg|hit_rate)_(\d+)", metric)
    if at_k:
        return f"{'NDCG' if at_k[1] == 'ndcg' else 'hit'}@{at_k[2]}"
    return _TITLES.get(metric, metric)


def _cell(estimate: Estimate) -> str:
    value = figure(estimate.value)
    if estimate.low != estimate.low:
        return value
    return f"{value}\n{estimate.low:.3f}-{estimate.high:.3f}"
