"""Rows of log files as the raw tensors of a serving request.

Files are read and typed by the pipeline's own code, so that a row means here
what it meant in training. Loads no TensorFlow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.export.inputs.raw_histories import histories
from hgr_tf.features import Feature, FeatureSpec, Format, HistoryList
from hgr_tf.features.spec import Owner
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import feature_field
from hgr_tf.pipelines.sources import RawBatch, plan_units, read_unit
from hgr_tf.pipelines.sources.csv import first_row_width
from hgr_tf.pipelines.sources.formats import column_names, resolve

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a file.

    Attributes:
        inputs: Raw tensors [good rows, ...] by feature name.
        errors: For every row None, or why it cannot be scored.
    """

    inputs: dict[str, np.ndarray]
    errors: list[str | None]


def read_rows(
    path: str | Path, spec: FeatureSpec, owner: Owner | None = None
) -> Iterator[Rows]:
    """Reads a file of any format that logs have.

    A feature's column is the one that the spec says it comes from, or else the
    one of its own name. A line of JSON may leave values out; the spec's column
    is there when any line of the file has a value for it. Rows of CSV without a
    header may leave out the label, or all that only training needs.

    Args:
        path: Path of the file; its suffix says the format.
        spec: Spec of the exported model.
        owner: Read the features of this owner alone, as of a table of users.

    Raises:
        ValueError: The file cannot be read, or lacks a column.
    """
    features = list(spec.request_features(owner))
    for batches, sources in _units(path, spec, features):
        checked = [_check(b, features, sources, spec.missing_values) for b in batches]
        if checked:
            yield _in_order(checked)


def read_columns(path: str | Path, spec: FeatureSpec) -> Iterator[dict[str, pa.Array]]:
    """Reads the same files as typed columns [good rows] by feature name.

    Rows that cannot be read are left out, and told of in a warning at the end.

    Raises:
        ValueError: The file cannot be read, or lacks a column.
    """
    features = list(spec.request_features())
    made = [f for f in spec.served_features() if f.transform.parts]
    rows = left_out = 0
    for batches, sources in _units(path, spec, features):
        for batch in batches:
            arrays, faults = _typed(batch, features, sources, spec.missing_values)
            for feature in made:
                values = [arrays[name] for name in feature.reads]
                arrays[feature.name] = feature.transform.combine(values)
            good = pa.array([row not in faults for row in batch.rows.tolist()], "bool")
            rows += len(good) + len(batch.rejected)
            left_out += len(good) - pc.sum(good).as_py() + len(batch.rejected)
            yield {name: array.filter(good) for name, array in arrays.items()}
    if left_out:
        log.warning(
            "%s: %d of %d rows cannot be read and are left out", path, left_out, rows
        )


def _units(
    path: str | Path, spec: FeatureSpec, features: list[Feature]
) -> Iterator[tuple[Iterator[RawBatch], dict[str, str]]]:
    """The batches of each unit of a file, and the column of each feature."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    file = File(str(path), path.stat().st_size)
    # The spec's format is that of its logs; a file may well be another.
    as_logged = (
        resolve(file.path, Format()).type == resolve(file.path, spec.format).type
    )
    format_ = _of_requests(spec, file) if as_logged else Format()
    sources = _sources(features, file, format_)
    wanted = sorted(set(sources.values()))
    for unit in plan_units(file, 0, format_, []):
        yield iter(read_unit(unit, wanted)), sources


def _of_requests(spec: FeatureSpec, file: File) -> Format:
    """The log's format for a file that may lack what only training needs.

    Raises:
        ValueError: Without a header, rows are of neither width.
    """
    format_ = spec.format
    names = format_.columns
    if not names or format_.header or resolve(file.path, format_).type != "csv":
        return format_
    features = {feature.column for feature in spec.served_features()}
    labels = [label.column for label in spec.all_labels.values()]
    others = {spec.feature(name).column for name in spec.training_only}
    only_logged = {*labels, *spec.weight_keys().values(), spec.time, *others} - features
    without_label = tuple(n for n in names if n not in only_logged.intersection(labels))
    bare = tuple(n for n in names if n not in only_logged)
    width = first_row_width(file, format_)
    for columns in (names, without_label, bare):
        if width in (0, len(columns)):
            return format_.model_copy(update={"columns": columns})
    raise ValueError(
        f"{file.path}: without a header, a row must have the {len(names)} values "
        f"{list(names)}, or these without the label {', '.join(map(repr, labels))}, or "
        f"without {sorted(set(names) - set(bare))}; got {width}"
    )


def _sources(features: list[Feature], file: File, format_: Format) -> dict[str, str]:
    """The column of each feature, by the feature's name."""
    if resolve(file.path, format_).type == "jsonl":
        renamed = [f.column for f in features if f.column != f.name]
        filled = _filled_columns(renamed, file, format_)
        return {f.name: f.column if f.column in filled else f.name for f in features}
    columns = column_names(file, format_)
    return {f.name: _source(f, columns, file.path) for f in features}


def _filled_columns(columns: list[str], file: File, format_: Format) -> set[str]:
    """Those of the columns that have a value anywhere in a file of JSON."""
    filled: set[str] = set()
    for unit in plan_units(file, 0, format_, []):
        if filled == set(columns):
            break
        for batch in read_unit(unit, columns):
            values = batch.columns.items()
            filled |= {name for name, array in values if array.null_count < len(array)}
    return filled


def _source(feature: Feature, columns: list[str], path: str) -> str:
    candidates = list(dict.fromkeys([feature.column, feature.name]))
    for name in candidates:
        if name in columns:
            return name
    raise ValueError(
        f"{path}: no column {' or '.join(map(repr, candidates))} for the feature "
        f"{feature.name!r}; it has {columns}"
    )


class _Checked(NamedTuple):
    """Rows of a batch: where in their unit the good ones lie, and what ails others."""

    positions: np.ndarray
    inputs: dict[str, np.ndarray]
    faults: dict[int, str]


def _in_order(batches: list[_Checked]) -> Rows:
    """The rows of a unit as they lie in it: its batches may each hold one shape."""
    positions = np.concatenate([batch.positions for batch in batches])
    order = np.argsort(positions)
    inputs = {
        name: np.concatenate([batch.inputs[name] for batch in batches])[order]
        for name in batches[0].inputs
    }
    faults = {row: why for batch in batches for row, why in batch.faults.items()}
    rows = sorted([*positions.tolist(), *faults])
    return Rows(inputs, [faults.get(row) for row in rows])


def _check(
    batch: RawBatch,
    features: list[Feature],
    sources: Mapping[str, str],
    missing: tuple[str, ...],
) -> _Checked:
    arrays, faults = _typed(batch, features, sources, missing)
    good = np.array([row not in faults for row in batch.rows.tolist()], bool)
    inputs = {
        f.name: f.transform.to_raw(arrays[f.name].filter(pa.array(good)), missing)
        for f in features
    }
    return _Checked(np.asarray(batch.rows)[good], inputs, faults)


def _typed(
    batch: RawBatch,
    features: list[Feature],
    sources: Mapping[str, str],
    missing: tuple[str, ...],
) -> tuple[dict[str, pa.Array], dict[int, str]]:
    """Typed values of all rows by feature, and what ails rows."""
    faults: dict[int, str] = {r.row: r.reason for r in batch.rejected}
    arrays = {}
    for feature in features:
        source = sources[feature.name]
        kind = feature.transform
        if isinstance(kind, HistoryList):
            result = histories(batch.columns[source], feature.column, kind, missing)
        else:
            result = cast(batch.columns[source], feature_field(feature), missing)
        arrays[feature.name] = result.values
        for reason, bad in [*result.bad, *kind.faults(result.values)]:
            for i in np.flatnonzero(bad).tolist():
                faults.setdefault(int(batch.rows[i]), f"{source}: {reason}")
        for i, reason in kind.unsendable(result.values):
            faults.setdefault(int(batch.rows[i]), f"{source}: {reason}")
    return arrays, faults
