"""The formats by name, and which one a file has."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import cast

from hgr_tf.features import Format
from hgr_tf.features.log_files import SOURCES
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import File, is_compressed
from hgr_tf.pipelines.sources.base import RawBatch, Source, Unit


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


def plan_units(
    file: File, file_index: int, format_: Format, needed: list[str]
) -> list[Unit]:
    """The units of a file, whose columns are checked.

    Raises:
        PrepareError: The file cannot be read, or lacks a needed column.
    """
    units, names = _plan(file, file_index, format_)
    known = needed if names is None else names
    lacking = [column for column in needed if column not in known]
    if lacking:
        raise PrepareError(f"{file.path}: no column {lacking}; it has {names}")
    return units


def column_names(file: File, format_: Format) -> list[str]:
    """Names of a file's columns; none where each row names its own."""
    return _plan(file, 0, format_)[1] or []


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
    return _plan(file, 0, format_)[1]


def _plan(
    file: File, file_index: int, format_: Format
) -> tuple[list[Unit], list[str] | None]:
    format_ = resolve(file.path, format_)
    try:
        return source(format_.type).plan(file, file_index, format_)
    except Exception as error:  # damaged bytes make decoders raise anything
        raise _unreadable(file.path, error) from error


def read_unit(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The rows of a unit, in batches of raw columns.

    Raises:
        PrepareError: The file cannot be read on: cut short, damaged, ...
    """
    try:
        yield from source(unit.format.type).read(unit, columns)
    except Exception as error:
        raise _unreadable(unit.path, error) from error


def _unreadable(path: str, error: Exception) -> PrepareError:
    if isinstance(error, PrepareError):
        return error
    reason = " ".join(str(error).split()) or type(error).__name__
    return PrepareError(f"{path}: cannot be read: {reason}")
