"""Parquet: a unit is a row group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File, open_read
from hgr_tf.pipelines.sources.base import BATCH_ROWS, RawBatch, Unit, raw_json

SUFFIXES = (".parquet",)


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], list[str]]:
    """The units of a file, and the names of its columns."""
    with open_read(file.path) as source:
        footer = pq.ParquetFile(source)
        groups, names = footer.num_row_groups, footer.schema_arrow.names
    units = [Unit(file.path, format_, file_index, i, i, i + 1) for i in range(groups)]
    return units, names


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The row groups of a unit in batches."""
    row = 0
    with open_read(unit.path) as source:
        groups = list(range(unit.start, unit.end))
        batches = pq.ParquetFile(source).iter_batches(BATCH_ROWS, groups, columns)
        for batch in batches:
            table = pa.table(batch)
            yield RawBatch(
                columns=dict(zip(batch.schema.names, batch.columns, strict=True)),
                rows=np.arange(row, row + batch.num_rows),
                raw=raw_json(table),
            )
            row += batch.num_rows
