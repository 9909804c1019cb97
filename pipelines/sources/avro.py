"""Avro: a unit is a run of blocks, decoded by fastavro.

Logical types are left to `avro_types`: fastavro's own end with the year 9999,
round decimals, and give up a file for one bad UUID. Undecodable bytes of text
become surrogates, so that they cost their row and not the file.
"""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Callable, Iterator
from typing import Protocol

import fastavro
import numpy as np

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File, open_read
from hgr_tf.pipelines.sources import avro_types
from hgr_tf.pipelines.sources.base import BATCH_ROWS, Header, RawBatch, Unit
from hgr_tf.pipelines.sources.values import batches_of_values

_UNIT_BYTES = 64 << 20

SUFFIXES = (".avro",)


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """The units of a file, cut at blocks, and its columns."""
    with open_read(file.path) as source:
        reader = fastavro.block_reader(source)
        header = avro_types.header(reader.writer_schema)
        starts, end = [source.tell()], source.tell()
        for block in reader:
            if block.offset - starts[-1] >= _UNIT_BYTES:
                starts.append(block.offset)
            end = block.offset + block.size
    if end != file.size:  # fastavro takes a block count cut short for the end
        raise EOFError("it is cut short")
    ends = [*starts[1:], end]
    units = [
        Unit(file.path, format_, file_index, i, start, end)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    return units, header


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The rows of a unit in batches. Avro has no reader of columns."""
    row = 0
    with open_read(unit.path) as source:
        reader = fastavro.block_reader(source, handle_unicode_errors="surrogateescape")
        kinds = avro_types.columns(reader.writer_schema)
        wanted = _getter(columns, kinds)
        source.seek(unit.start)
        blocks = itertools.takewhile(lambda block: _is_within(block, unit), reader)
        records = itertools.chain.from_iterable(map(_as_stored, blocks))
        while some := list(itertools.islice(records, BATCH_ROWS)):
            for batch in batches_of_values(
                list(map(wanted, some)),
                columns,
                np.arange(row, row + len(some)),
                raw=_json_of(some),
                rejected=[],
            ):
                for name, array in batch.columns.items():
                    batch.columns[name] = kinds[name].typed(array)
                yield batch
            row += len(some)


class _Block(Protocol):
    """A block of fastavro, whose class it does not name in public."""

    offset: int
    size: int
    writer_schema: avro_types.Schema

    def __iter__(self) -> Iterator[dict]:
        """Yields its records."""


def _is_within(block: _Block, unit: Unit) -> bool:
    return unit.end is None or block.offset < unit.end


def _json_of(records: list[dict]) -> Callable[[int], str]:
    return lambda i: json.dumps(records[i], default=str)


def _as_stored(block: _Block) -> _Block:
    block.writer_schema = avro_types.without_logical_types(block.writer_schema)
    return block


def _getter(
    columns: list[str], kinds: dict[str, avro_types.Column]
) -> Callable[[dict], tuple]:
    readers = [(name, kinds[name].convert) for name in columns]
    if all(convert is None for _, convert in readers) and len(columns) > 1:
        return operator.itemgetter(*columns)
    return lambda record: tuple(
        record[name] if convert is None else convert(record[name])
        for name, convert in readers
    )
