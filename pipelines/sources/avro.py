"""Avro: a unit is a run of blocks, decoded by fastavro."""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Iterator

import fastavro
import numpy as np

from hgr_tf.features import Format
from pipelines.sources.base import BATCH_ROWS, RawBatch, Unit
from pipelines.sources.values import batches_of_values
from pipelines.storage import File, open_read

_UNIT_BYTES = 64 << 20


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], list[str]]:
    """The units of a file, cut at blocks, and the names of its columns."""
    with open_read(file.path) as source:
        reader = fastavro.block_reader(source)
        names = [field["name"] for field in reader.writer_schema.get("fields", [])]
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
        reader = fastavro.block_reader(source)
        source.seek(unit.start)
        blocks = itertools.takewhile(lambda block: block.offset < unit.end, reader)
        records = itertools.chain.from_iterable(blocks)
        while some := list(itertools.islice(records, BATCH_ROWS)):
            yield from batches_of_values(
                list(map(wanted, some)),
                columns,
                np.arange(row, row + len(some)),
                raw=lambda i, some=some: json.dumps(some[i], default=str),
                rejected=[],
            )
            row += len(some)


def _getter(columns: list[str]):
    if len(columns) == 1:
        return lambda record: (record[columns[0]],)
    return operator.itemgetter(*columns)
