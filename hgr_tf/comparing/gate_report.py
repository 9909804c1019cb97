"""GateReport: every line of a gate, and whether it held."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hgr_tf.comparing.gate_config import Limits
from hgr_tf.result_files import plain, write_text

FILE = Path("assets.extra") / "gate.json"
"""Kept beside the version that passed."""


class GateError(ValueError):
    """A ranker that its gate refuses; the message says which lines failed."""


class Line(NamedTuple):
    """One expectation.

    Attributes:
        what: What was looked at, such as "gauc of country NL".
        value: What it is; NaN where undefined.
        expected: What it must be, in words.
        passed: Whether it is.
        served: The served version's value; None where it was not needed.
    """

    what: str
    value: float
    expected: str
    passed: bool
    served: float | None = None

    def __str__(self) -> str:
        found = "undefined" if math.isnan(self.value) else f"{self.value:.6g}"
        return f"{self.what} must be {self.expected}, got {found}"


class GateReport(NamedTuple):
    """What a gate found.

    Attributes:
        split: The split of the metrics.
        run: Folder of the run.
        weights_sha256: Digest of its weights.
        calibrated: Whether its calibration was on.
        rows: Rows of the split.
        served_version: The version it was compared with; None where there is none.
        lines: Every expectation.
        skipped: What was not judged, and why.
        slices: Metrics of every slice, as `hgr-tf evaluate --slice --json` has them.
    """

    split: str
    run: str
    weights_sha256: str
    calibrated: bool
    rows: int
    served_version: int | None
    lines: list[Line]
    skipped: list[str]
    slices: dict[str, list[dict[str, Any]]]

    @property
    def passed(self) -> bool:
        """Whether every expectation holds, and something was judged at all."""
        judged = bool(self.lines) or not self.skipped
        return judged and all(line.passed for line in self.lines)

    def save(self, folder: str | Path) -> None:
        """Writes the report into a version's assets.extra."""
        told = self._asdict() | {
            "passed": self.passed,
            "lines": [line._asdict() for line in self.lines],
        }
        write_text(Path(folder) / FILE, json.dumps(plain(told), indent=1) + "\n")

    def raise_if_refused(self, source: str) -> None:
        """Raises `GateError`, naming every line that failed, if one did."""
        failed = [str(line) for line in self.lines if not line.passed]
        if not failed and not self.passed:
            failed = [f"nothing could be judged: {text}" for text in self.skipped]
        if failed:
            raise GateError(f"refused by {source}: {'; '.join(failed)}")


def judge(
    what: str, limits: Limits, value: float, served: float | None
) -> Iterator[Line]:
    """Lines of a metric: one for each of its limits.

    Args:
        what: What the metric is of.
        limits: What it may be.
        value: The new version's, NaN where undefined, which holds no limit.
        served: The served version's; None or NaN where there is no comparison.
    """
    if limits.at_least is not None:
        passed = value >= limits.at_least
        yield Line(what, value, f"at least {limits.at_least:g}", passed)
    if limits.at_most is not None:
        yield Line(what, value, f"at most {limits.at_most:g}", value <= limits.at_most)
    if served is None or math.isnan(served):
        return
    beside = f"the served version's {served:.6g}"
    if limits.drop_at_most is not None:
        passed = served - value <= limits.drop_at_most
        expected = f"at most {limits.drop_at_most:g} below {beside}"
        yield Line(what, value, expected, passed, served)
    if limits.rise_at_most is not None:
        passed = value - served <= limits.rise_at_most
        expected = f"at most {limits.rise_at_most:g} above {beside}"
        yield Line(what, value, expected, passed, served)
