"""What every format gives: units of work, and batches of raw columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.kernels.extension_types import why_refused

BATCH_ROWS = 65_536
"""Rows that are processed at once, at most."""


class Unit(NamedTuple):
    """A part of a file that one worker reads.

    Attributes:
        path: Path of the file.
        format: Resolved: never "auto".
        file_index: Position of the file among the inputs.
        place: Position of the unit in its file.
        start: Where it starts, and
        end: where it ends, in what the source counts: row groups, stripes, bytes.
        columns: Column names of delimited text.
        partitions: Columns that the names of its folders give ("dt=2026-01-01").
    """

    path: str
    format: Format
    file_index: int
    place: int = 0
    start: int = 0
    end: int | None = None
    columns: tuple[str, ...] = ()
    partitions: tuple[tuple[str, str | None], ...] = ()


class Header(NamedTuple):
    """The columns of a file.

    Attributes:
        names: In order, with those that come twice; None where each row names its own.
        refused: Why a column's values have neither text nor number, by its name.
    """

    names: list[str] | None
    refused: dict[str, str]


class Rejected(NamedTuple):
    """A row that cannot be used.

    Attributes:
        row: Position in its unit, counted from 0.
        column: The column at fault; empty when it is the row as a whole.
        reason: What is wrong with it.
        raw: The row as it came: text as it is, typed rows as JSON. None until
            it is read again from its file.
    """

    row: int
    column: str
    reason: str
    raw: str | None


@dataclass
class RawBatch:
    """Rows as a format gives them, before any check against the spec.

    Attributes:
        columns: By name; only those asked for.
        rows: `[n]` int64: position of each row in its unit.
        raw: Text of the i-th row of this batch, for the dead letters.
        rejected: Rows that could not even be parsed; not among `columns`.
    """

    columns: dict[str, pa.Array]
    rows: np.ndarray
    raw: Callable[[int], str]
    rejected: list[Rejected] = field(default_factory=list)


class Source(Protocol):
    """How files of one format are read: what a module of `SOURCES` defines.

    What it raises, whatever its type, tells that the file cannot be read on, and
    ends the run with the file's name. A row that cannot be parsed is no error: it
    goes into the `rejected` of its batch.

    Attributes:
        SUFFIXES: Endings of file names, such as ".csv", that say this format.
    """

    SUFFIXES: tuple[str, ...]

    def plan(
        self, file: File, file_index: int, format_: Format
    ) -> tuple[list[Unit], Header]:
        """Cuts a file into units that different workers may read.

        Args:
            file: Path and bytes of the file.
            file_index: Position of the file among the inputs; the units keep it.
            format_: How it is read; its type is this format.

        Returns:
            The units, whose rows are all rows of the file, each once; and the
            file's columns.
        """

    def read(self, unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
        """Yields the rows of a unit in order, at most `BATCH_ROWS` at once.

        Args:
            unit: One of those that `plan` made.
            columns: The columns wanted. A batch has each of them, null where a row
                has no value.
        """


class TableSource(Source, Protocol):
    """A source whose inputs are tables of many files, in snapshots.

    The path of an input is that of its table, with "@" and the number of a snapshot
    behind it where another than the newest one is meant.

    Attributes:
        SIGN: Glob, from a table's folder on, of files that every table has.
    """

    SIGN: str

    def pin(self, path: str) -> File:
        """The snapshot of an input: its path with its number, and the bytes of it."""


def named_snapshot(path: str) -> tuple[str, int | None]:
    """Splits the path of a table from the number of its snapshot.

    Example:
        >>> named_snapshot("lake/events@12")
        ('lake/events', 12)
    """
    found = re.fullmatch(r"(.+)@(\d+)", path)
    return (found[1], int(found[2])) if found else (path, None)


def table_of(path: str) -> str:
    """The table that a path is a snapshot of, which other snapshots share.

    Example:
        >>> table_of("lake/events@12")
        'lake/events'
        >>> table_of("file:///lake/clicks/metadata/00003-a.metadata.json@7")
        '/lake/clicks'
    """
    table = named_snapshot(path)[0].removeprefix("file://")
    return re.sub(r"/metadata/[^/]+\.json$", "", table)


def arrow_plan(
    file: File, file_index: int, format_: Format, schema: pa.Schema, parts: int
) -> tuple[list[Unit], Header]:
    """The plan of a file whose columns Arrow knows: a unit for each of its parts."""
    refused = {column.name: why for column in schema if (why := why_refused(column))}
    units = [Unit(file.path, format_, file_index, i, i, i + 1) for i in range(parts)]
    return units, Header(schema.names, refused)


def arrow_batches(
    batches: Iterable[pa.RecordBatch], columns: list[str]
) -> Iterator[RawBatch]:
    """Yields the rows of a unit that Arrow decodes, at most `BATCH_ROWS` at once.

    Args:
        batches: Its rows in order; further columns are left out.
        columns: The columns wanted.
    """
    row = 0
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            part = batch.slice(start, BATCH_ROWS)
            table = pa.table({name: part.column(name) for name in columns})
            yield RawBatch(
                columns={name: part.column(name) for name in columns},
                rows=np.arange(row, row + part.num_rows),
                raw=raw_json(table),
            )
            row += part.num_rows


def raw_json(table: pa.Table) -> Callable[[int], str]:
    """The rows of a typed table as JSON."""

    def raw(index: int) -> str:
        columns = zip(table.column_names, table.columns, strict=True)
        row = {name: _value(column[index]) for name, column in columns}
        return json.dumps(row, default=str)

    return raw


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):  # undecodable text, times past Python's
        return _without_python_types(scalar)


def _without_python_types(scalar: pa.Scalar) -> object:
    if isinstance(scalar, pa.DictionaryScalar):
        return _value(scalar.value)
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(value) for name, value in scalar.items()}
    if isinstance(scalar, pa.ListScalar):
        return list(map(_value, scalar.values))
    if pa.types.is_temporal(scalar.type):
        return scalar.value
    return bytes(scalar.as_buffer()).decode("utf-8", "backslashreplace")
