"""The formats by name, and which one a file has."""

from __future__ import annotations

import glob
import importlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import cast

from hgr_tf.features import Format
from hgr_tf.features.log_files import SOURCES
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import File, is_compressed, match
from hgr_tf.pipelines.sources.base import Header, RawBatch, Source, TableSource, Unit
from hgr_tf.pipelines.sources.partitions import partition_column, partitions_of

_DELIMITERS = ("\t", ";", "|", ",", "::", "\x01")


def source(type_: str) -> Source:
    """The source of a format of `SOURCES`."""
    return cast(Source, importlib.import_module(SOURCES[type_]))


@cache
def _suffixes() -> dict[str, str]:
    """The format that each ending of a file's name says."""
    return {suffix: name for name in SOURCES for suffix in source(name).SUFFIXES}


def resolve(path: str, format_: Format) -> Format:
    """The format of a file, by its suffix when the spec says "auto".

    Raises:
        PrepareError: The suffix says nothing.
    """
    if format_.type != "auto":
        return format_
    known = _suffixes()
    suffixes = [s.lower() for s in PurePosixPath(path).suffixes]
    named = [known[s] for s in suffixes if s in known]
    if not named or not (is_compressed(path) or suffixes[-1] in known):
        raise PrepareError(
            f"{path}: cannot tell its format by its name; expected one of "
            f"{sorted(known)}, or `format.type` in the spec"
        )
    return format_.model_copy(update={"type": named[-1]})


def is_table(format_: Format) -> bool:
    """Whether an input of a format is a table of many files, and not a file."""
    return format_.type != "auto" and _is_table(format_.type)


def _is_table(type_: str) -> bool:
    return hasattr(source(type_), "pin")


def check_no_table(folder: str) -> None:
    """Checks that the files of a folder are not those of a table.

    Raises:
        PrepareError: They are; some may be of older snapshots, or hold deleted rows.
    """
    for name in filter(_is_table, SOURCES):
        sign = cast(TableSource, source(name)).SIGN
        if match(f"{glob.escape(folder.rstrip('/'))}/{sign}"):
            raise PrepareError(
                f"{folder}: holds {sign}: of a table, not every file counts; set "
                f"`format: {{type: {name}}}`"
            )


def pinned(path: str, format_: Format) -> File:
    """The snapshot of a table that an input means, its number in its path.

    Raises:
        PrepareError: The table or the snapshot cannot be read.
    """
    try:
        return cast(TableSource, source(format_.type)).pin(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def plan_units(
    file: File, file_index: int, format_: Format, needed: list[str]
) -> list[Unit]:
    """The units of a file, whose columns are checked.

    Raises:
        PrepareError: The file cannot be read; it lacks a needed column, has it
            twice, or of a type that has neither text nor number.
    """
    units, header, partitions = _plan(file, file_index, format_)
    if refused := [column for column in needed if column in header.refused]:
        raise PrepareError(
            f"{file.path}: column {refused[0]!r} is {header.refused[refused[0]]}, "
            "whose values have neither a text nor a number here; store it as text"
        )
    names = header.names or []
    if repeated := [column for column in needed if names.count(column) > 1]:
        raise PrepareError(
            f"{file.path}: column names must differ, got {repeated} twice"
        )
    lacking = [c for c in needed if c not in names and c not in partitions]
    if lacking and header.names is not None:
        raise PrepareError(
            f"{file.path}: no column {lacking}; it has {names}{_hint(names)}"
        )
    given = tuple((c, v) for c, v in partitions.items() if c not in names)
    return [unit._replace(partitions=given) for unit in units]


def column_names(file: File, format_: Format) -> list[str]:
    """Names of a file's columns; where each row names its own, of its folders."""
    _, header, partitions = _plan(file, 0, format_)
    return list(dict.fromkeys([*(header.names or ()), *partitions]))


def present_columns(
    file: File, format_: Format, needed: list[str], optional: list[str]
) -> list[str]:
    """The columns to read from a file: needed ones, and the optional it has."""
    columns = list(dict.fromkeys([*needed, *optional]))
    names = _names(file, format_) if optional else None
    if names is None:  # rows that name their own columns are read for all
        return columns
    return [column for column in columns if column in names or column in needed]


@lru_cache(maxsize=16)
def _names(file: File, format_: Format) -> list[str] | None:
    _, header, partitions = _plan(file, 0, format_)
    return None if header.names is None else [*header.names, *partitions]


def _plan(
    file: File, file_index: int, format_: Format
) -> tuple[list[Unit], Header, dict[str, str | None]]:
    """The units of a file, its header, and the columns that its folders give."""
    format_ = resolve(file.path, format_)
    try:
        units, header = source(format_.type).plan(file, file_index, format_)
    except Exception as error:  # damaged bytes make decoders raise anything
        raise _unreadable(file.path, error) from error
    return units, header, partitions_of(file.path)


def _hint(names: list[str]) -> str:
    """What a header of one name with delimiters in it is asking for."""
    if len(names) != 1:
        return ""
    found = [d for d in _DELIMITERS if d in names[0]]
    return f"; to split it, set `format: {{delimiter: {found[0]!r}}}`" if found else ""


def read_unit(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The rows of a unit, in batches of raw columns.

    Raises:
        PrepareError: The file cannot be read on: cut short, damaged, ...
    """
    given = dict(unit.partitions)
    own = [column for column in columns if column not in given]
    try:
        for batch in source(unit.format.type).read(unit, own):
            for name in columns:
                if name in given:
                    rows = len(batch.rows)
                    batch.columns[name] = partition_column(given[name], rows)
            yield batch
    except Exception as error:
        raise _unreadable(unit.path, error) from error


def _unreadable(path: str, error: Exception) -> PrepareError:
    if isinstance(error, PrepareError):
        return error
    reason = " ".join(str(error).split()) or type(error).__name__
    return PrepareError(f"{path}: cannot be read: {reason}")
