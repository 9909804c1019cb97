"""Bad rows, in files that tell where each came from and what is wrong."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

from hgr_tf.pipelines.files.blocks import read_block
from hgr_tf.pipelines.files.files import File, join, matching, open_read, write_bytes
from hgr_tf.pipelines.reasons import MALFORMED_LINE
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources import plan_units, read_unit
from hgr_tf.pipelines.sources.bigquery import is_bigquery
from hgr_tf.pipelines.steps.elements import UnitReport

_EXAMPLES = 1_000
_LINE_ENDS = " (if values hold line ends, set `format: {newlines_in_values: true}`)"


class WriteDeadLetters(beam.DoFn):
    """Writes the bad rows of one input file; yields how many there are.

    A line is JSON: file, row (its number among the file's rows, from 1, the header
    not counted), column ("" when it is the row as a whole), reason, raw.
    """

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[tuple[str, int], Iterable[UnitReport]]
    ) -> Iterator[tuple[str, int]]:
        """Takes ((source, file index), reports of its units)."""
        (source, file_index), unsorted = element
        reports = sorted(unsorted, key=lambda r: (r.place, r.rows))
        raws = self._raws(file_index, reports)
        letters: list[dict] = []
        first = 1
        # Of a unit's reports, the last one tells its rows: the others have 0.
        for report in reports:
            letters += _letters(report, first, raws)
            first += report.rows
        letters.sort(key=lambda letter: letter["row"])
        lines = [json.dumps(letter, ensure_ascii=False) + "\n" for letter in letters]
        if lines:
            name = f"dead_letter-{source}-{file_index:05d}.jsonl"
            path = join(self._settings.results, name)
            write_bytes(path, "".join(lines).encode())
        yield source, len(lines)

    def _raws(
        self, file_index: int, reports: list[UnitReport]
    ) -> dict[tuple[int, int], str]:
        """Raw rows that were not kept, by (unit, row): read from the log again."""
        wanted: dict[int, set[int]] = defaultdict(set)
        for report in reports:
            for bad in _bad_rows(report):
                if bad["raw"] is None:
                    wanted[report.place].add(bad["row"])
        if not wanted:
            return {}
        spec, file = self._settings.spec, self._settings.log_files[file_index]
        if is_bigquery(file.path):  # a second reading has another order
            return {}
        columns = spec.log_columns()
        units = plan_units(File(file.path, file.size), file_index, spec.format, columns)
        raws = {}
        for index, rows in wanted.items():
            for batch in read_unit(units[index], columns):
                for i in np.flatnonzero(np.isin(batch.rows, list(rows))).tolist():
                    raws[index, int(batch.rows[i])] = batch.raw(i)
        return raws


def _bad_rows(report: UnitReport) -> list[dict]:
    return [] if report.block is None else read_block(report.block).to_pylist()


def _letters(
    report: UnitReport, first: int, raws: dict[tuple[int, int], str]
) -> list[dict]:
    return [
        {
            "file": report.path,
            "row": first + bad["row"],
            "column": bad["column"],
            "reason": bad["reason"],
            "raw": raws.get((report.place, bad["row"]), bad["raw"]),
        }
        for bad in _bad_rows(report)
    ]


def example_of(settings: Settings, source: str) -> str:
    """What ails most of the first bad rows of a source, and one such row."""
    letters = []
    pattern = f"dead_letter-{source}-*.jsonl"
    for path in matching(settings.results, pattern)[:1]:
        with open_read(path) as file:
            lines = itertools.islice(iter(file.readline, b""), _EXAMPLES)
            letters = list(map(json.loads, lines))
    if not letters:
        return ""
    causes = Counter((letter["column"], letter["reason"]) for letter in letters)
    cause = causes.most_common(1)[0][0]
    raw = next(
        letter["raw"]
        for letter in letters
        if (letter["column"], letter["reason"]) == cause
    )
    column, reason = cause
    where = f"column {column!r}: " if column else ""
    broken = (raw or "").count(settings.spec.format.quote or "\0") % 2
    hint = _LINE_ENDS if reason == MALFORMED_LINE and broken else ""
    shown = f", as in the row {raw:.200}{hint}" if raw else ""
    return f": {where}{reason}{shown}"
