"""Arguments of a run, checked, become its `Settings`."""

from __future__ import annotations

import glob
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, get_args

from pydantic import ValidationError
from typing_extensions import Unpack

from hgr_tf.data.manifest import FILE_NAME, Manifest
from hgr_tf.features import FeatureSpec, Format
from hgr_tf.features.spec import TableOwner
from hgr_tf.features.splits import TRAIN
from hgr_tf.features.strict_model import describe
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import File, data_files, exists, read_bytes
from hgr_tf.pipelines.files.files import join as join_path
from hgr_tf.pipelines.files.stores import STORES, is_stored
from hgr_tf.pipelines.running import preconditions
from hgr_tf.pipelines.running.output_folder import TEMPORARY
from hgr_tf.pipelines.settings import (
    OUTPUT_FORMATS,
    InputFile,
    Join,
    JoinMode,
    Layout,
    Settings,
)
from hgr_tf.pipelines.sources.base import named_snapshot, table_of
from hgr_tf.pipelines.sources.bigquery import is_bigquery, table_reference
from hgr_tf.pipelines.sources.formats import check_no_table, is_table, pinned
from hgr_tf.pipelines.sources.pruning import prune

Inputs = str | Path | Sequence[str | Path] | Mapping[str, str | Sequence[str]]
"""Paths or globs; by name of split as a mapping, or as texts "split=glob"."""

SIDE_BYTES = 64 << 20
"""Tables up to this many bytes are held whole by each worker."""


BIGQUERY_BYTES = 64 << 30
"""What a table of BigQuery counts as, whose bytes are not asked for: as a large log."""


class SettingsOptions(TypedDict, total=False):
    """Options of a run that its `Settings` hold as they are."""

    seed: int
    shard_rows: int
    compression: int
    output_format: str
    max_bad_fraction: float
    code_prefix: int
    grow_vocabularies: bool
    evict_after_days: int | None


class RunOptions(SettingsOptions, total=False):
    """Options of a run; `hgr_tf.pipelines.run.prepare` tells what they mean."""

    user_table: str | Path | None
    item_table: str | Path | None
    join: str
    layout: str | None
    code_table: str | Path | None
    encoding_from: str | Path | None
    history_from: Sequence[str | Path]
    where: Sequence[str]


def configure(
    spec: FeatureSpec | str | Path,
    inputs: Inputs,
    output: str | Path,
    *,
    user_table: str | Path | None = None,
    item_table: str | Path | None = None,
    join: str = "auto",
    layout: str | None = None,
    code_table: str | Path | None = None,
    encoding_from: str | Path | None = None,
    history_from: Sequence[str | Path] = (),
    where: Sequence[str] = (),
    **settings: Unpack[SettingsOptions],
) -> Settings:
    """The settings of a run. Arguments as in `hgr_tf.pipelines.run.prepare`.

    Raises:
        PrepareError: Files are missing, or arguments are wrong or contradict each
            other.
        SpecError: The spec is wrong.
    """
    spec_path = None if isinstance(spec, FeatureSpec) else os.path.abspath(spec)
    spec, base = _load_spec(spec)
    output = _absolute(output)
    files, splits = _input_files(inputs, spec)
    files = prune(files, [where] if isinstance(where, str) else where)
    tables = _table_files(spec, base, {"user": user_table, "item": item_table})
    try:
        run = Settings(
            spec=spec,
            files=files,
            tables=tables,
            splits=splits,
            output=output,
            temporary=join_path(output, TEMPORARY, uuid.uuid4().hex),
            join=_join_modes(tables, join),
            layout=_layout(layout, code_table, settings.get("output_format")),
            code_table=_code_file(code_table),
            history_from=_earlier_files(history_from, spec, files),
            encoding_from=_absolute(encoding_from) if encoding_from else None,
            **settings,
        )
    except ValidationError as error:
        raise PrepareError(describe(error)) from error
    preconditions.check(run, spec_path)
    return run


def _load_spec(spec: FeatureSpec | str | Path) -> tuple[FeatureSpec, str]:
    """The spec, and the folder that its paths start at."""
    if isinstance(spec, FeatureSpec):
        return spec, os.getcwd()
    return FeatureSpec.load(spec), os.path.dirname(os.path.abspath(spec))


def _input_files(
    inputs: Inputs, spec: FeatureSpec
) -> tuple[tuple[InputFile, ...], tuple[str, ...]]:
    """The files with their splits, and the names of the splits."""
    whole, by_split = _by_split(inputs, spec.format)
    if whole and by_split:
        raise PrepareError(
            "inputs must all be given by split (train=..., val=...) or none; "
            f"without a split: {whole}"
        )
    if whole:
        splits = spec.split.names if spec.split else (TRAIN,)
        return _files(whole, spec.format), splits
    if spec.split:
        raise PrepareError(
            "inputs are given by split, but the spec has a `split` section too"
        )
    files: list[InputFile] = []
    seen: dict[str, str] = {}
    for index, (split, patterns) in enumerate(by_split.items()):
        for file in _files(patterns, spec.format):
            log = _log_of(file, spec.format)
            if log in seen:
                raise PrepareError(f"{log}: given for {seen[log]!r} and for {split!r}")
            seen[log] = split
            files.append(file._replace(split=index))
    return tuple(files), tuple(by_split)


def _by_split(
    inputs: Inputs, format_: Format
) -> tuple[list[str], dict[str, list[str]]]:
    """The patterns that are given without a split, and those of each split."""
    if isinstance(inputs, Mapping):
        return [], {
            split: [globs] if isinstance(globs, str) else list(globs)
            for split, globs in inputs.items()
        }
    whole: list[str] = []
    by_split: dict[str, list[str]] = {}
    for text in [inputs] if isinstance(inputs, (str, Path)) else inputs:
        split, pattern = _split_and_pattern(str(text), format_)
        patterns = whole if split is None else by_split.setdefault(split, [])
        patterns.append(pattern)
    if not (whole or by_split):
        raise PrepareError("no input was given")
    return whole, by_split


def _split_and_pattern(text: str, format_: Format) -> tuple[str | None, str]:
    """Of "split=glob"; a path may hold "=" too, as in "day=1/log.csv"."""
    named = re.fullmatch(r"([A-Za-z_]\w*)=(.+)", text)
    if not named or (_table_here(text) if is_table(format_) else _match(text)):
        return None, text
    return named[1], named[2]


def _files(
    patterns: Sequence[str | Path], format_: Format, base: str = ""
) -> tuple[InputFile, ...]:
    files = {}
    for pattern in map(str, patterns):
        found = _found(pattern, format_, base)
        if not found:
            raise PrepareError(
                f"{pattern}: no file of that name, and no folder with files whose "
                "names do not start with '_' or '.'"
            )
        files.update({file.path: InputFile(*file) for file in found})
    logs = [_log_of(file, format_) for file in files.values()]
    if twice := [log for log in logs if logs.count(log) > 1]:
        raise PrepareError(f"{twice[0]}: given as two snapshots, which share rows")
    return tuple(files[path] for path in sorted(files))


def _log_of(file: InputFile, format_: Format) -> str:
    """What holds the rows of an input: a file, or a table in any of its snapshots."""
    return table_of(file.path) if is_table(format_) else file.path


def _held(
    patterns: Sequence[str | Path], format_: Format, base: str = ""
) -> tuple[InputFile, ...]:
    """Files of a table beside the log, which workers read themselves."""
    files = _files(patterns, format_, base)
    if tables := [file.path for file in files if is_bigquery(file.path)]:
        raise PrepareError(
            f"{tables[0]}: BigQuery is read for logs alone; export the table to files"
        )
    return files


def _found(pattern: str, format_: Format, base: str) -> list[File]:
    """The files of an input, or its table as one."""
    if is_bigquery(pattern):
        table_reference(pattern)
        return [File(pattern, BIGQUERY_BYTES)]
    if is_table(format_):
        return [pinned(_table_here(pattern, base) or pattern, format_)]
    return _match(pattern, base)


def _table_here(text: str, base: str = "") -> str | None:
    """The whole path of a table that is in a local folder; None of any other."""
    path = os.path.abspath(os.path.join(base or os.getcwd(), text))
    return path if os.path.exists(named_snapshot(path)[0]) else None


def _match(pattern: str, base: str = "") -> list[File]:
    """The files of a path or glob; where it starts at a folder, that is no glob.

    A folder stands for the files in it and below.
    """
    base = base or os.getcwd()
    if not is_stored(pattern):
        path = os.path.abspath(os.path.join(base, pattern))
        below = os.path.normpath(os.path.join(glob.escape(base), pattern))
        pattern = path if exists(path) else below
    found = data_files(pattern)
    if found and pattern not in [file.path for file in found]:
        check_no_table(pattern)
    return found


def _earlier_files(
    sources: Sequence[str | Path], spec: FeatureSpec, files: tuple[InputFile, ...]
) -> tuple[InputFile, ...]:
    """Log files of the past: given, of folders, or read by earlier runs."""
    sources = [sources] if isinstance(sources, str | Path) else sources
    if sources and not (spec.history or spec.counters):
        raise PrepareError(
            "--history-from is given, but the spec has neither history nor counters"
        )
    patterns = [p for source in sources for p in _logs_of(str(source), spec.format)]
    found = _files(patterns, spec.format)
    seen = {_log_of(file, spec.format) for file in files}
    logs = [_log_of(file, spec.format) for file in found]
    if twice := [log for log in logs if log in seen]:
        raise PrepareError(f"{twice[0]}: given as an input and for --history-from")
    return found


def _logs_of(source: str, format_: Format) -> list[str]:
    """A path or glob itself; of a prepared folder what it was made from."""
    if is_stored(source) and source.partition("://")[0] not in STORES:
        return [source]  # a table, which Beam's file systems know nothing of
    folder = _absolute(source).rstrip("/")
    if exists(join_path(folder, FILE_NAME)):
        text = read_bytes(join_path(folder, FILE_NAME))
        given = Manifest.model_validate_json(text).arguments
        inputs = given.get("inputs", [])
        logs = [_split_and_pattern(text, format_)[1] for text in inputs]
        return [*given.get("history_from", []), *logs]
    return [source]


def _absolute(path: str | Path) -> str:
    path = str(path)
    return path if is_stored(path) else os.path.abspath(path)


def _table_files(
    spec: FeatureSpec, base: str, given: Mapping[TableOwner, str | Path | None]
) -> dict[TableOwner, tuple[InputFile, ...]]:
    tables = {}
    for owner, path in given.items():
        if owner not in spec.tables:
            if path:
                raise PrepareError(
                    f"--{owner}-table is given, but the spec has no table of {owner}s"
                )
            continue
        named, format_ = spec.tables[owner].path, spec.tables[owner].format
        if path:
            tables[owner] = _held([path], format_)
        elif named:
            tables[owner] = _held([named], format_, base)
        else:
            raise PrepareError(
                f"the spec needs a table of {owner}s: give --{owner}-table"
            )
    return tables


def _join_modes(
    tables: Mapping[TableOwner, tuple[InputFile, ...]], mode: str
) -> tuple[tuple[TableOwner, JoinMode], ...]:
    if mode not in get_args(Join):
        raise PrepareError(f"join must be one of {get_args(Join)}, got {mode!r}")

    def resolve(files: tuple[InputFile, ...]) -> JoinMode:
        small = sum(file.size for file in files) <= SIDE_BYTES
        return "side" if mode == "side" or (mode == "auto" and small) else "shuffle"

    return tuple((owner, resolve(files)) for owner, files in tables.items())


def _layout(
    layout: str | None, code_table: str | Path | None, output_format: str | None
) -> Layout:
    only: Layout | None = None
    if output_format in OUTPUT_FORMATS.names():  # else the settings refuse it
        only = OUTPUT_FORMATS[output_format].layout
    if only:
        if layout not in (None, only):
            raise PrepareError(
                f"output format {output_format!r} needs layout {only!r}, got {layout!r}"
            )
        if code_table:
            raise PrepareError(
                f"output format {output_format!r} is laid out by {only}, so a code "
                f"table must not be given, got {code_table}"
            )
        return only
    known: dict[str, Layout] = {name: name for name in get_args(Layout)}
    layout = layout or ("code" if code_table else "shuffled")
    if layout not in known:
        raise PrepareError(f"layout: must be one of {tuple(known)}, got {layout!r}")
    if (layout == "code") != bool(code_table):
        raise PrepareError(
            "layout 'code' and a code table go together, "
            f"got layout {layout!r} and code table {code_table}"
        )
    return known[layout]


def _code_file(path: str | Path | None) -> InputFile | None:
    if not path:
        return None
    files = _held([path], Format())
    if len(files) > 1:
        raise PrepareError(f"{path}: a code table is one file, got {len(files)} files")
    return files[0]
