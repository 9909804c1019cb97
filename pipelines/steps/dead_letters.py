"""Bad rows, in files that tell where each came from and what is wrong."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.pipelines.files.blocks import read_block
from hgr_tf.pipelines.files.files import File, atomic_file, join, matching, open_read
from hgr_tf.pipelines.reasons import MALFORMED_LINE
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources import Unit, plan_units, read_unit
from hgr_tf.pipelines.sources.bigquery import is_bigquery
from hgr_tf.pipelines.steps.elements import UnitReport

_EXAMPLES = 1_000
_BATCH = 4_096
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
        bad = sum(report.bad for report in reports)
        if bad:
            name = f"dead_letter-{source}-{file_index:05d}.jsonl"
            with atomic_file(join(self._settings.results, name)) as file:
                for letter in self._letters(file_index, reports):
                    text = json.dumps(letter, ensure_ascii=False) + "\n"
                    file.write(text.encode())
        yield source, bad

    def _letters(self, file_index: int, reports: list[UnitReport]) -> Iterator[dict]:
        """The letters of a file in the order of its rows, held a unit at a time."""
        first, units = 1, None
        for place, group in itertools.groupby(reports, key=lambda r: r.place):
            own = list(group)
            table = _bad_rows(own)
            wanted = table.filter(pc.is_null(table["raw"]))["row"].to_pylist()
            if wanted and units is None:
                units = self._units(file_index)
            raws = self._raws(units[place], wanted) if wanted and units else {}
            for bad in _as_dicts(table):
                yield {
                    "file": own[0].path,
                    "row": first + bad["row"],
                    "column": bad["column"],
                    "reason": bad["reason"],
                    "raw": raws.get(bad["row"], bad["raw"]),
                }
            # Of a unit's reports, the last one tells its rows: the others have 0.
            first += sum(report.rows for report in own)

    def _units(self, file_index: int) -> list[Unit]:
        """Units of the log's file; none where a second reading has another order."""
        spec, file = self._settings.spec, self._settings.log_files[file_index]
        if is_bigquery(file.path):
            return []
        columns = spec.log_columns()
        return plan_units(File(file.path, file.size), file_index, spec.format, columns)

    def _raws(self, unit: Unit, wanted: list[int]) -> dict[int, str]:
        """Raw rows that were not kept, by their row: read from the log again."""
        raws = {}
        for batch in read_unit(unit, self._settings.spec.log_columns()):
            for i in np.flatnonzero(np.isin(batch.rows, wanted)).tolist():
                raws[int(batch.rows[i])] = batch.raw(i)
        return raws


def _bad_rows(reports: list[UnitReport]) -> pa.Table:
    """The bad rows of a unit, in the order of its rows."""
    blocks = [block for report in reports for block in report.blocks]
    if not blocks:
        return pa.table({"row": pa.array([], pa.int64()), "raw": pa.array([])})
    return pa.concat_tables(map(read_block, blocks)).sort_by("row")


def _as_dicts(table: pa.Table) -> Iterator[dict]:
    """The rows of a table, of which few are Python objects at a time."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


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
