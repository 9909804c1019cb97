"""The fault suite: tests marked `fault`, and the table that docs/reliability.md shows.

    python -m pytest -p tests.faults -m fault --reliability docs/reliability.md

`@pytest.mark.fault(part, what, then)` says which part of the package a test breaks,
what is done to it, and what must come of it. The tests of one fault are one row.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
PARTS = ("pipeline", "data", "training", "comparing", "export", "serving")
HEAD = "| part | fault | what comes of it | tests |\n| --- | --- | --- | --- |\n"


def pytest_addoption(parser):
    parser.addoption(
        "--reliability", type=Path, help="Page whose table is written anew."
    )


def pytest_configure(config):
    config.pluginmanager.register(FaultTable(config.getoption("--reliability")))


class FaultTable:
    """Collects what comes of each fault, and tells it at the end."""

    def __init__(self, page: Path | None):
        self.page = page
        self.faults: dict[str, tuple[str, str, str]] = {}
        self.results: dict[tuple[str, str, str], list[str]] = defaultdict(list)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        for item in items:
            if marker := item.get_closest_marker("fault"):
                part, what, then = marker.args
                assert part in PARTS, f"{item.nodeid}: no such part: {part}"
                self.faults[item.nodeid] = (part, what, then)

    def pytest_runtest_logreport(self, report):
        if report.nodeid in self.faults and (report.when == "call" or report.skipped):
            self.results[self.faults[report.nodeid]].append(report.outcome)
        elif report.nodeid in self.faults and report.failed:
            self.results[self.faults[report.nodeid]].append("failed")

    def table(self) -> str:
        """The rows by part, in the order in which they were run."""
        faults = sorted(self.results, key=lambda fault: PARTS.index(fault[0]))
        rows = [f"| {' | '.join(f)} | {_counts(self.results[f])} |\n" for f in faults]
        return HEAD + "".join(rows)

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section(f"{len(self.results)} faults")
        terminalreporter.write(self.table())
        if self.page:
            text = self.page.read_text(encoding="utf-8")
            before, rest = text.split(BEGIN)
            after = rest.split(END)[1]
            text = f"{before}{BEGIN}{self.table()}{END}{after}"
            self.page.write_text(text, encoding="utf-8")


def _counts(outcomes: list[str]) -> str:
    kinds = ("passed", "failed", "skipped")
    counts = {kind: outcomes.count(kind) for kind in kinds}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
