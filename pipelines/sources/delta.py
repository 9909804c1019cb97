"""Delta Lake: a unit is a data file of one version of a table.

An input is the folder of a table, `lake/events`, or `lake/events@12` for its version
12. The `deltalake` library reads it; it refuses tables with features that it does not
know, deletion vectors and mapped columns among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds

from hgr_tf.features import Format
from hgr_tf.pipelines.errors import need_extra
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.sources.base import (
    BATCH_ROWS,
    Header,
    RawBatch,
    Unit,
    arrow_batches,
    arrow_plan,
    named_snapshot,
)

SUFFIXES = ()
SIGN = "_delta_log/*.json"


class _Version(NamedTuple):
    """A version of a table: its columns, and its files by path."""

    schema: pa.Schema
    files: list[ds.Fragment]


def pin(path: str) -> File:
    """The version of a table that is meant, the newest one if none is named."""
    need_extra("deltalake", "lake", "tables of Delta Lake")
    from deltalake import DeltaTable

    folder, version = named_snapshot(path)
    table = DeltaTable(folder, version=version)
    sizes = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
    return File(f"{folder}@{table.version()}", sum(sizes))


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """Returns one unit for each data file, and the columns of the table."""
    schema, files = _version(file.path)
    return arrow_plan(file, file_index, format_, schema, len(files))


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The rows of a data file in batches."""
    schema, files = _version(unit.path)
    batches = files[unit.start].to_batches(
        schema=schema, columns=columns, batch_size=BATCH_ROWS
    )
    return arrow_batches(batches, columns)


@lru_cache(maxsize=4)
def _version(path: str) -> _Version:
    from deltalake import DeltaTable

    folder, version = named_snapshot(path)
    dataset = DeltaTable(folder, version=version).to_pyarrow_dataset()
    files = sorted(dataset.get_fragments(), key=lambda fragment: fragment.path)
    return _Version(dataset.schema, files)
