"""Parquet: a unit is a row group.

Old timestamps (INT96) are read as nanoseconds where these hold them, else as
microseconds; the few that even those cannot hold become the largest ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File, open_read
from hgr_tf.pipelines.kernels.value_texts import PER_SECOND
from hgr_tf.pipelines.sources.base import (
    BATCH_ROWS,
    Header,
    RawBatch,
    Unit,
    arrow_batches,
    arrow_plan,
)

_OPAQUE = {"INTERVAL", "BSON", "GEOMETRY", "GEOGRAPHY", "VARIANT"}
"""Logical types that Arrow gives as the bytes they are stored in."""

_UNITS = ("ns", "us", "s")
"""Of INT96: the finest first; seconds hold every one."""

SUFFIXES = (".parquet",)


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """The units of a file, and its columns."""
    with open_read(file.path) as source:
        footer = pq.ParquetFile(source)
        groups, schema = footer.num_row_groups, footer.schema_arrow
        opaque = _opaque(footer.schema)
    units, header = arrow_plan(file, file_index, format_, schema, groups)
    return units, header._replace(refused={**header.refused, **opaque})


def _opaque(schema: pq.ParquetSchema) -> dict[str, str]:
    refused = {}
    for column in map(schema.column, range(len(schema))):
        kinds = {column.logical_type.type, column.converted_type}
        for kind in kinds & _OPAQUE:
            refused[column.path.split(".")[0]] = f"of the type {kind}"
    return refused


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The row groups of a unit in batches."""
    with open_read(unit.path) as source:
        yield from arrow_batches(_batches(source, unit, columns), columns)


def _batches(
    source: BufferedIOBase, unit: Unit, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(source, coerce_int96_timestamp_unit="us")
    last = file.num_row_groups if unit.end is None else unit.end
    groups = list(range(unit.start, last))
    batches = file.iter_batches(BATCH_ROWS, groups, columns)
    old = [name for name in _int96(file.schema) if name in columns]
    if not old:
        yield from batches
        return
    times = zip(
        *(
            pq.ParquetFile(source, coerce_int96_timestamp_unit=of_time).iter_batches(
                BATCH_ROWS, groups, old
            )
            for of_time in _UNITS
        ),
        strict=True,
    )
    for batch, read_times in zip(batches, times, strict=True):
        for name in old:
            at = batch.schema.get_field_index(name)
            exact = _exact(*(part.column(name) for part in read_times))
            batch = batch.set_column(at, name, exact)
        yield batch


def _int96(schema: pq.ParquetSchema) -> list[str]:
    """Columns of INT96 that are not nested."""
    columns = map(schema.column, range(len(schema)))
    return [c.path for c in columns if c.physical_type == "INT96" and "." not in c.path]


def _exact(nanos: pa.Array, micros: pa.Array, seconds: pa.Array) -> pa.Array:
    whole = seconds.cast(pa.int64()).fill_null(0).to_numpy(False)
    for times in (nanos, micros):
        numbers = times.cast(pa.int64()).fill_null(0).to_numpy(False)
        fits = numbers // PER_SECOND[times.type.unit] == whole
        if fits.all():
            return times
    largest = np.where(whole < 0, -(2**63), 2**63 - 1)
    numbers = np.where(fits, numbers, largest)
    mask = micros.is_null().to_numpy(False)
    return pa.array(numbers, mask=mask).cast(micros.type)
