"""JSON Lines, decoded by msgspec a block at a time.

Arrow's own reader is faster, but some malformed lines crash its process.
Lines that cannot be decoded are singled out by bisection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.reasons import MALFORMED_JSON, REPEATED_KEY
from hgr_tf.pipelines.sources import lines
from hgr_tf.pipelines.sources.base import BATCH_ROWS, Header, RawBatch, Rejected, Unit
from hgr_tf.pipelines.sources.values import batches_of_values, shown_at

SUFFIXES = (".jsonl", ".json", ".ndjson")

_Decoded = tuple[list[tuple], np.ndarray, list[Rejected]]
"""Values of rows, where they lie among the lines, and lines that cannot be used."""

_ESCAPED_KEY = re.compile(rb'"[^"]*\\u[^"]*"\s*:')


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """The units of a file; its rows may name any columns."""
    lines.check_text(file.path)
    unit = Unit(file.path, format_, file_index)
    return lines.plan(file, unit, header_bytes=0, splits=True), Header(None, {})


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The lines of a unit in batches."""
    decoder = _Decoder(columns)
    for some in lines.read_lines(lines.read_blocks(unit), BATCH_ROWS):
        parts = list(decoder.decode(some))
        rows = [row for decoded, _, _ in parts for row in decoded]
        at = np.concatenate([positions for _, positions, _ in parts])
        yield from batches_of_values(
            rows,
            columns,
            at + some.row,
            raw=shown_at(some.shown, at),
            rejected=[bad for _, _, rejected in parts for bad in rejected],
        )


class _Decoder:
    """Decodes the wanted columns into msgspec structs and skips the others."""

    def __init__(self, columns: list[str]):
        self._columns = columns
        # As keys of JSON: a name that is written otherwise holds an escape.
        self._keys = [msgspec.json.encode(column) for column in columns]
        fields = [(f"column_{i}", Any, msgspec.UNSET) for i in range(len(columns))]
        names = {f"column_{i}": column for i, column in enumerate(columns)}
        row = msgspec.defstruct("Row", fields, rename=names, gc=False)
        self._decoder = msgspec.json.Decoder(row)

    def decode(self, block: lines.Lines, first: int = 0) -> Iterator[_Decoded]:
        """Yields (rows, their positions from `first`, rejected lines)."""
        text = block.text()
        try:
            rows = self._decoder.decode_lines(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            rows = []
        if len(rows) == len(block):
            yield self._checked(block, text, rows, first)
        elif len(block) == 1:
            rejected = Rejected(block.row, "", MALFORMED_JSON, block.shown(0))
            yield [], np.array([], np.int64), [rejected]
        else:
            middle = len(block) // 2
            yield from self.decode(block.part(0, middle), first)
            yield from self.decode(block.part(middle, len(block)), first + middle)

    def _checked(
        self, block: lines.Lines, text: bytes, rows: list[msgspec.Struct], first: int
    ) -> _Decoded:
        """The rows without those in which a wanted key comes twice."""
        values = list(map(msgspec.structs.astuple, rows))
        at = np.arange(first, first + len(block))
        columns = list(zip(*values, strict=True))
        absent = [column.count(msgspec.UNSET) for column in columns]
        rejected = []
        if self._may_repeat(text, [len(rows) - n for n in absent]):
            places = range(len(block))
            faults = {i: key for i in places if (key := self._repeated(block, i))}
            rejected = [
                Rejected(block.row + i, key, REPEATED_KEY, block.shown(i))
                for i, key in faults.items()
            ]
            kept = [i for i in range(len(rows)) if i not in faults]
            values, at = [values[i] for i in kept], at[kept]
        if any(absent):
            values = [
                tuple(None if v is msgspec.UNSET else v for v in row) for row in values
            ]
        return values, at, rejected

    def _may_repeat(self, text: bytes, present: list[int]) -> bool:
        keys = zip(self._keys, present, strict=True)
        return bool(_ESCAPED_KEY.search(text)) or any(
            text.count(key) > rows for key, rows in keys
        )

    def _repeated(self, block: lines.Lines, index: int) -> str | None:
        line = block.line(index)
        if not (
            _ESCAPED_KEY.search(line) or any(line.count(k) > 1 for k in self._keys)
        ):
            return None
        names = [name for name, _ in json.loads(line, object_pairs_hook=_Pairs)]
        return next((c for c in self._columns if names.count(c) > 1), None)


class _Pairs(list):
    """Keys and values of an object, those that come again included."""
