"""Iceberg: a unit is a data file of one snapshot of a table, decoded as a whole.

An input is the table's newest metadata file (`.../metadata/00003-....metadata.json`),
its folder where that has a `metadata/version-hint.text`, or `prod:db.events` for the
table `db.events` of the catalog `prod`, as PyIceberg's configuration knows it; each may
end in "@" and the number of a snapshot. PyIceberg reads it: renamed and added columns,
and rows that were deleted by their position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hgr_tf.features import Format
from hgr_tf.pipelines.errors import need_extra
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.sources.base import (
    Header,
    RawBatch,
    Unit,
    arrow_batches,
    arrow_plan,
    named_snapshot,
)

if TYPE_CHECKING:
    from pyiceberg.table import DataScan, FileScanTask, Table

SUFFIXES = ()
SIGN = "metadata/*.metadata.json"

_OF_CATALOG = re.compile(r"([\w-]+):([\w-]+(?:\.[\w-]+)+)")


class _Snapshot(NamedTuple):
    """A snapshot of a table: the scan of all its columns, and its files by path."""

    scan: DataScan
    files: list[FileScanTask]


def pin(path: str) -> File:
    """The snapshot of a table that is meant, the newest one if none is named.

    Its path is that of a metadata file, which needs no catalog.
    """
    need_extra("pyiceberg", "lake", "tables of Iceberg")
    location, number = named_snapshot(path)
    table = _table(location)
    if number is None:
        newest = table.current_snapshot()
        if newest is None:
            raise ValueError("it has no snapshot yet")
        number = newest.snapshot_id
    pinned = f"{table.metadata_location}@{number}"
    files = _snapshot(pinned).files
    return File(pinned, sum(task.file.file_size_in_bytes for task in files))


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """Returns one unit for each data file, and the columns of the table."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    scan, files = _snapshot(file.path)
    schema = schema_to_pyarrow(scan.projection())
    return arrow_plan(file, file_index, format_, schema, len(files))


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The rows of a data file in batches."""
    from pyiceberg.io.pyarrow import ArrowScan

    scan, files = _snapshot(unit.path)
    # A scan of no column would have no rows.
    names = columns or [scan.projection().fields[0].name]
    chosen = scan.select(*names)
    reader = ArrowScan(
        chosen.table_metadata, chosen.io, chosen.projection(), chosen.row_filter
    )
    return arrow_batches(reader.to_record_batches([files[unit.start]]), columns)


def _table(location: str) -> Table:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.table import StaticTable

    if named := _OF_CATALOG.fullmatch(location):
        return load_catalog(named[1]).load_table(named[2])
    return StaticTable.from_metadata(location)


@lru_cache(maxsize=4)
def _snapshot(path: str) -> _Snapshot:
    location, number = named_snapshot(path)
    scan = _table(location).scan(snapshot_id=number)
    files = sorted(scan.plan_files(), key=lambda task: task.file.file_path)
    return _Snapshot(scan, files)
