"""The fault suite: tests marked `fault`, and the table that docs/reliability.md shows.

    python -m pytest -n 2 -p tests.faults -m fault --reliability docs/reliability.md

`@pytest.mark.fault(part, what, then)` says which part of the package a test breaks,
what is done to it, and what must come of it. The tests of one fault are one row.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
PARTS = ("pipeline", "data", "training", "comparing", "export", "serving")
PROPERTY = "fault"
Fault = tuple[str, str, str]
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
        self.tests: dict[Fault, str] = {}
        self.results: dict[Fault, list[str]] = defaultdict(list)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        for item in items:
            if marker := item.get_closest_marker("fault"):
                part, what, then = marker.args
                assert part in PARTS, f"{item.nodeid}: no such part: {part}"
                # Reports bring it along from the processes of pytest-xdist.
                item.user_properties.append((PROPERTY, (part, what, then)))

    def pytest_runtest_logreport(self, report):
        fault = dict(report.user_properties).get(PROPERTY)
        if fault is None:
            return
        fault = tuple(fault)
        first = self.tests.setdefault(fault, report.nodeid)
        self.tests[fault] = min(first, report.nodeid)
        if report.when == "call" or report.skipped:
            self.results[fault].append(report.outcome)
        elif report.failed:
            self.results[fault].append("failed")

    def table(self) -> str:
        """The rows by part, and then by the file and name of the first test."""
        faults = sorted(
            self.results, key=lambda f: (PARTS.index(f[0]), self.tests[f], f)
        )
        rows = [f"| {' | '.join(f)} | {_counts(self.results[f])} |\n" for f in faults]
        return HEAD + "".join(rows)

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section(f"{len(self.results)} faults")
        terminalreporter.write(self.table())
        failed = {"failed", "error"} & set(terminalreporter.stats)
        if self.page and not failed:
            text = self.page.read_text(encoding="utf-8")
            before, rest = text.split(BEGIN)
            after = rest.split(END)[1]
            text = f"{before}{BEGIN}{self.table()}{END}{after}"
            self.page.write_text(text, encoding="utf-8")


def _counts(outcomes: list[str]) -> str:
    kinds = ("passed", "failed", "skipped")
    counts = {kind: outcomes.count(kind) for kind in kinds}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
