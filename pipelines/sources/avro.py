"""Avro: a unit is a run of blocks, decoded by fastavro.

Times are decoded as the numbers they are stored as and typed by Arrow, which
holds all of them: Python's end with the year 9999. Undecodable bytes of text
become surrogates, so that they cost their row and not the file.
"""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Iterator

import fastavro
import numpy as np
import pyarrow as pa

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File, open_read
from hgr_tf.pipelines.sources.base import BATCH_ROWS, RawBatch, Unit
from hgr_tf.pipelines.sources.values import batches_of_values

_UNIT_BYTES = 64 << 20
_TIMES = {
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
}

SUFFIXES = (".avro",)


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], list[str]]:
    """The units of a file, cut at blocks, and the names of its columns."""
    with open_read(file.path) as source:
        reader = fastavro.block_reader(source)
        names = [field["name"] for field in _fields(reader.writer_schema)]
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
    return units, names


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The rows of a unit in batches. Avro has no reader of columns."""
    row, wanted = 0, _getter(columns)
    with open_read(unit.path) as source:
        reader = fastavro.block_reader(source, handle_unicode_errors="surrogateescape")
        times = _times(reader.writer_schema)
        source.seek(unit.start)
        blocks = itertools.takewhile(lambda block: block.offset < unit.end, reader)
        records = itertools.chain.from_iterable(map(_with_numbers_for_times, blocks))
        while some := list(itertools.islice(records, BATCH_ROWS)):
            for batch in batches_of_values(
                list(map(wanted, some)),
                columns,
                np.arange(row, row + len(some)),
                raw=lambda i, some=some: json.dumps(some[i], default=str),
                rejected=[],
            ):
                for name in times.keys() & batch.columns.keys():
                    batch.columns[name] = _typed(batch.columns[name], times[name])
                yield batch
            row += len(some)


def _with_numbers_for_times(block: fastavro.read.Block) -> fastavro.read.Block:
    block.writer_schema = _without_times(block.writer_schema)
    return block


def _without_times(schema):
    if isinstance(schema, list):
        return [_without_times(part) for part in schema]
    if isinstance(schema, dict):
        return {
            key: _without_times(part)
            for key, part in schema.items()
            if not (key == "logicalType" and part in _TIMES)
        }
    return schema


def _fields(schema) -> list[dict]:
    if not (isinstance(schema, dict) and "fields" in schema):
        raise ValueError(f"its schema must be a record, got {json.dumps(schema)}")
    return schema["fields"]


def _times(schema: dict) -> dict[str, pa.DataType]:
    """Types of the columns that hold times, or times and nulls."""
    logical = {f["name"]: _logical_type(f["type"]) for f in _fields(schema)}
    return {name: _TIMES[kind] for name, kind in logical.items() if kind in _TIMES}


def _logical_type(schema) -> str | None:
    if isinstance(schema, list):
        kinds = [kind for kind in schema if kind != "null"]
        return _logical_type(kinds[0]) if len(kinds) == 1 else None
    return schema.get("logicalType") if isinstance(schema, dict) else None


def _typed(numbers: pa.Array, time: pa.DataType) -> pa.Array:
    if time.bit_width == 32:
        numbers = numbers.cast(pa.int32())
    return numbers.cast(time)


def _getter(columns: list[str]):
    if len(columns) == 1:
        return lambda record: (record[columns[0]],)
    return operator.itemgetter(*columns)
