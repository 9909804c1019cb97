"""JSON Lines, decoded by msgspec a block at a time.

Arrow's own reader is faster, but some malformed lines crash its process.
Lines that cannot be decoded are singled out by bisection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.reasons import MALFORMED_JSON
from hgr_tf.pipelines.sources import lines
from hgr_tf.pipelines.sources.base import BATCH_ROWS, RawBatch, Rejected, Unit
from hgr_tf.pipelines.sources.values import batches_of_values

SUFFIXES = (".jsonl", ".json", ".ndjson")


def plan(
    file: File, file_index: int, format_: Format
) -> tuple[list[Unit], list[str] | None]:
    """The units of a file; its rows may name any columns."""
    unit = Unit(file.path, format_, file_index)
    return lines.plan(file, unit, header_bytes=0, splits=True), None


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The lines of a unit in batches."""
    decoder = _decoder(columns)
    for some in lines.read_lines(lines.read_blocks(unit), BATCH_ROWS):
        parts = list(_decode(some, decoder))
        rows = [row for decoded, _, _ in parts for row in decoded]
        at = np.concatenate([positions for _, positions, _ in parts])
        rejected = [part for _, _, part in parts if part]
        yield from batches_of_values(
            rows,
            columns,
            at + some.row,
            raw=lambda i, some=some, at=at: some.shown(at[i]),
            rejected=rejected,
        )


def _decoder(columns: list[str]) -> msgspec.json.Decoder:
    """Decodes the wanted columns into tuples' cheap kin, and skips the others."""
    fields = [(f"column_{i}", Any, None) for i in range(len(columns))]
    names = {f"column_{i}": column for i, column in enumerate(columns)}
    row = msgspec.defstruct("Row", fields, rename=names, gc=False)
    return msgspec.json.Decoder(row)


def _decode(block: lines.Lines, decoder, first: int = 0):
    """Yields (rows, their positions from `first`, a rejected line or None)."""
    try:
        rows = decoder.decode_lines(block.text())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        rows = []
    if len(rows) == len(block):
        at = np.arange(first, first + len(block))
        yield list(map(msgspec.structs.astuple, rows)), at, None
    elif len(block) == 1:
        rejected = Rejected(block.row, "", MALFORMED_JSON, block.shown(0))
        yield [], np.array([], np.int64), rejected
    else:
        middle = len(block) // 2
        yield from _decode(block.part(0, middle), decoder, first)
        yield from _decode(block.part(middle, len(block)), decoder, first + middle)
