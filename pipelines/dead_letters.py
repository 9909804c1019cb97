"""Bad rows, in files that tell where each came from and what is wrong."""

from __future__ import annotations

import json

import apache_beam as beam

from pipelines.elements import UnitReport
from pipelines.settings import Settings
from pipelines.storage import join, read_block, write_bytes


class WriteDeadLetters(beam.DoFn):
    """Writes the bad rows of one input file; yields how many there are.

    A line is JSON: file, row (its number among the file's rows, from 1, the header
    not counted), column ("" when it is the row as a whole), reason, raw.
    """

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, element):
        """Takes ((source, file index), reports of its units)."""
        (source, file_index), reports = element
        letters, first = [], 1
        # Of a unit's reports, the last one tells its rows: the others have 0.
        for report in sorted(reports, key=lambda r: (r.index, r.rows)):
            letters += _letters(report, first)
            first += report.rows
        letters.sort(key=lambda letter: letter["row"])
        lines = [json.dumps(letter, ensure_ascii=False) + "\n" for letter in letters]
        if lines:
            name = f"dead_letter-{source}-{file_index:05d}.jsonl"
            path = join(self._settings.output, name)
            write_bytes(path, "".join(lines).encode())
        yield source, len(lines)


def _letters(report: UnitReport, first: int) -> list[dict]:
    if report.block is None:
        return []
    return [
        {
            "file": report.path,
            "row": first + bad["row"],
            "column": bad["column"],
            "reason": bad["reason"],
            "raw": bad["raw"],
        }
        for bad in read_block(report.block).to_pylist()
    ]
