"""Rows of log files as the raw tensors of a serving request.

Files are read and typed by the pipeline's own code, so that a row means here
what it meant in training. Loads no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hgr_tf.features import Feature, FeatureSpec, Format
from pipelines.casting import cast
from pipelines.fields import feature_field
from pipelines.sources import RawBatch, plan_units, read_unit
from pipelines.sources.formats import resolve
from pipelines.storage import File

MISSING_INT = np.iinfo(np.int64).min
NUMPY = {"string": object, "int64": np.int64, "float32": np.float32}
_MISSING = {"string": "", "int64": int(MISSING_INT), "float32": float("nan")}


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a file.

    Attributes:
        inputs: Raw tensors [good rows] by feature name.
        errors: For every row None, or why it cannot be scored.
    """

    inputs: dict[str, np.ndarray]
    errors: list[str | None]


def read_rows(path: str | Path, spec: FeatureSpec) -> Iterator[Rows]:
    """Reads a CSV, JSON lines, Parquet or Avro file.

    A feature's column is the one of its own name, or else the column that the
    spec says it comes from. A line of JSON may leave values out.

    Args:
        path: Of the file; its suffix says the format.
        spec: Of the exported model.

    Raises:
        ValueError: The file cannot be read, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    features = list(spec.features())
    file = File(str(path), path.stat().st_size)
    # The spec's format is that of its logs; a file may well be another.
    as_logged = (
        resolve(file.path, Format()).type == resolve(file.path, spec.format).type
    )
    format_ = spec.format if as_logged else Format()
    columns = _column_names(file, format_)
    sources = {f.name: _sources(f, columns, path) for f in features}
    wanted = sorted({c for found in sources.values() for c in found})
    for unit in plan_units(file, 0, format_, []):
        yield _in_order(
            [
                _check(batch, features, sources, spec.missing_values)
                for batch in read_unit(unit, wanted)
            ]
        )


def _column_names(file: File, format_: Format) -> list[str]:
    """Names of the columns; none for formats whose rows name their own."""
    kind = resolve(file.path, format_).type
    if kind == "parquet":
        return pq.read_schema(file.path).names
    units = plan_units(file, 0, format_, [])
    return list(units[0].columns) if units else []


def _sources(feature: Feature, columns: list[str], path: Path) -> list[str]:
    candidates = list(dict.fromkeys([feature.name, feature.column]))
    if not columns:
        return candidates
    found = [name for name in candidates if name in columns][:1]
    if not found:
        raise ValueError(
            f"{path}: no column {' or '.join(map(repr, candidates))} for the feature "
            f"{feature.name!r}; it has {columns}"
        )
    return found


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


def _check(batch: RawBatch, features, sources, missing: tuple[str, ...]) -> _Checked:
    faults: dict[int, str] = {r.row: r.reason for r in batch.rejected}
    arrays = {}
    for feature in features:
        column = _coalesce([batch.columns[c] for c in sources[feature.name]])
        result = cast(column, feature_field(feature), missing)
        arrays[feature.name] = result.values
        for reason, bad in result.bad:
            for i in np.flatnonzero(bad):
                faults.setdefault(int(batch.rows[i]), f"{feature.column}: {reason}")
        for i, token in _unjoinable(result.values, feature):
            delimiter = feature.transform.delimiter
            faults.setdefault(
                int(batch.rows[i]),
                f"{feature.column}: a value of a list must not hold the delimiter "
                f"{delimiter!r}, got {token!r}",
            )
    good = np.array([row not in faults for row in batch.rows.tolist()], bool)
    inputs = {
        f.name: _to_numpy(arrays[f.name].filter(pa.array(good)), f) for f in features
    }
    return _Checked(np.asarray(batch.rows)[good], inputs, faults)


def _unjoinable(values: pa.Array, feature: Feature) -> Iterator[tuple[int, str]]:
    """Rows whose list would be split elsewhere once it is joined, and the value."""
    if not feature.transform.is_multivalued:
        return
    delimiter = feature.transform.delimiter
    flat = values.flatten().cast(pa.string())
    bad = pc.match_substring(flat, delimiter).fill_null(False)
    rows = pc.list_parent_indices(values).filter(bad).to_pylist()
    yield from zip(rows, flat.filter(bad).to_pylist(), strict=True)


def _coalesce(columns: list[pa.Array]) -> pa.Array:
    present = [c for c in columns if not pa.types.is_null(c.type)]
    if len(present) < 2:
        return (present or columns)[0]
    return pc.coalesce(*present)


def _to_numpy(values: pa.Array, feature: Feature) -> np.ndarray:
    transform = feature.transform
    if transform.is_multivalued:
        texts = [
            transform.delimiter.join(map(str, tokens or ()))
            for tokens in values.to_pylist()
        ]
        return np.array(texts, object)
    filled = pc.fill_null(values, _MISSING[transform.dtype])
    return filled.to_numpy(zero_copy_only=False).astype(NUMPY[transform.dtype])
