"""A comparison on the terminal: its progress, and its verdicts."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hgr_tf.comparing.config import CompareConfig
from hgr_tf.comparing.report import fallen, interval, signed


class LiveTable:
    """Shows for each method how many runs are finished, and the time left.

    On a terminal the table is redrawn; elsewhere each event is a line.
    """

    def __init__(self, config: CompareConfig):
        self._config = config
        self._console = Console()
        self._live: Live | None = None
        self._gauc: dict[str, list[float]] = {name: [] for name in config.methods}
        self._tuned: set[str] = set()
        self._start = time.monotonic()

    def __enter__(self) -> LiveTable:
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def told(self, method: str, state: str, value: float | None) -> None:
        """Takes one event of `hgr_tf.comparing.compare`."""
        if state == "tuned":
            self._tuned.add(method)
        elif value is not None:
            self._gauc[method].append(value)
        if self._live:
            self._live.update(self._table())
        else:
            figure = "" if value is None else f", GAUC {value:.4f}"
            self._console.print(f"{method}: {state}{figure}; {self._left()}")

    def _left(self) -> str:
        done = sum(map(len, self._gauc.values()))
        total = len(self._config.methods) * len(self._config.seeds)
        if not done:
            return f"0 of {total} runs"
        seconds = (time.monotonic() - self._start) / done * (total - done)
        return f"{done} of {total} runs, about {seconds:.0f} s left"

    def _table(self) -> Table:
        table = Table(title=self._left(), title_justify="left")
        for name in ("method", "tuned", "runs", "GAUC"):
            table.add_column(name)
        for method, values in self._gauc.items():
            wanted = bool(self._config.tuning.trials)
            tuned = "yes" if method in self._tuned else "-" if not wanted else "..."
            runs = f"{len(values)} of {len(self._config.seeds)}"
            mean = f"{sum(values) / len(values):.4f}" if values else ""
            table.add_row(method, tuned, runs, mean)
        return table


def print_pre_check(check: dict[str, Any]) -> None:
    """Prints what the check before the runs found."""
    if check["importance"]:
        table = Table(
            title="The baseline with another user's or row's values, "
            "mean over permutations",
            title_justify="left",
        )
        for name in ("permuted", "GAUC", "LogLoss"):
            table.add_column(name)
        for name, one in check["importance"].items():
            table.add_row(name, fallen(one["gauc_drop"]), signed(one["log_loss_rise"]))
        Console().print(table)
    if check["users"]:
        Console().print(check["users"])
    seeds = check["seeds"]
    if "ensemble_gauc" in seeds:
        Console().print(
            f"Two seeds of the baseline differ by {signed(seeds['gauc'])} GAUC and "
            f"{signed(seeds['log_loss'])} LogLoss; their ensemble gains "
            f"{signed(seeds['ensemble_gauc'])} GAUC."
        )


def print_verdicts(results: dict[str, Any]) -> None:
    """Prints the verdict and the differences of each method."""
    title = f"Compared with {results['baseline']} on {results['split']!r}"
    table = Table(title=title, title_justify="left")
    for name in ("method", "verdict", "GAUC", "interval", "LogLoss", "why"):
        table.add_column(name)
    for name, method in results["methods"].items():
        if "verdict" not in method:
            continue
        gauc, loss = (method["difference"][m] for m in ("gauc", "log_loss"))
        table.add_row(
            name,
            method["verdict"]["word"],
            signed(gauc["mean"]),
            interval(gauc),
            signed(loss["mean"]),
            method["verdict"]["reason"],
        )
    Console().print(table)
