"""Rows checked against the spec: the good ones typed, the bad ones explained."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import FeatureSpec
from hgr_tf.features.logs import TimeUnit
from pipelines.casting import cast
from pipelines.fields import (
    Field,
    id_field,
    key_field,
    label_field,
    log_fields,
    table_fields,
    time_field,
    weight_field,
)
from pipelines.sources import RawBatch, Rejected

MISSING = "missing"
OUT_OF_RANGE = "label outside its range"
NEGATIVE = "negative weight"
UNMATCHED = "id is not in the table"


class Checks:
    """Collects what is wrong with the rows of a batch; the first fault counts."""

    def __init__(self, batch: RawBatch):
        self._batch = batch
        self._fault = np.zeros(len(batch.rows), np.int16)
        self._faults: list[tuple[str, str]] = []

    def reject(self, column: str, reason: str, bad: np.ndarray) -> None:
        """Marks the rows where `bad`."""
        bad = bad & (self._fault == 0)
        if bad.any():
            self._faults.append((column, reason))
            self._fault[bad] = len(self._faults)

    @property
    def good(self) -> np.ndarray:
        """`[n]` bool: the rows without a fault."""
        return self._fault == 0

    def rejected(self) -> list[Rejected]:
        """The rows at fault, those that could not be parsed included."""
        rejected = list(self._batch.rejected)
        for i in np.flatnonzero(self._fault):
            column, reason = self._faults[self._fault[i] - 1]
            row = int(self._batch.rows[i])
            rejected.append(Rejected(row, column, reason, self._batch.raw(int(i))))
        return sorted(rejected)


def check_log(batch: RawBatch, spec: FeatureSpec) -> tuple[pa.Table, Checks]:
    """Types the rows of a log and checks ids, label, weight and time."""
    checks = Checks(batch)
    table = _cast_columns(batch, log_fields(spec), spec, checks)
    for owner in ("user", "item"):
        _require(table, id_field(spec, owner), checks)
    label = label_field(spec)
    values = _require(table, label, checks)
    outside = (values < spec.label.min) | (values > spec.label.max)
    checks.reject(label.column, OUT_OF_RANGE, outside)
    if weight := weight_field(spec):
        checks.reject(weight.column, NEGATIVE, _require(table, weight, checks) < 0)
    if time := time_field(spec):
        _require(table, time, checks)
    return table, checks


def check_table(batch: RawBatch, spec: FeatureSpec, owner) -> tuple[pa.Table, Checks]:
    """Types the rows of a user or item table and checks that they have a key."""
    checks = Checks(batch)
    table = _cast_columns(batch, table_fields(spec, owner), spec, checks)
    _require(table, key_field(spec, owner), checks)
    return table, checks


def _cast_columns(
    batch: RawBatch, fields: list[Field], spec: FeatureSpec, checks: Checks
) -> pa.Table:
    columns = {}
    for field in fields:
        raw = batch.columns[field.column]
        if field == time_field(spec) and spec.time_unit:
            raw = _in_unit(raw, spec.time_unit)
        result = cast(raw, field, spec.missing_values)
        for reason, bad in result.bad:
            checks.reject(field.column, reason, bad)
        columns[field.name] = result.values
    return pa.table(columns)


def _in_unit(times: pa.Array, unit: TimeUnit) -> pa.Array:
    """Timestamps and dates, of whatever unit, in that of the spec."""
    kind = times.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return times.cast(pa.timestamp(unit), safe=False)
    return times


def _require(table: pa.Table, field: Field, checks: Checks) -> np.ndarray | None:
    """Rejects the rows where the field is null; numbers are returned."""
    values = table[field.name].combine_chunks()
    checks.reject(field.column, MISSING, values.is_null().to_numpy(False))
    if field.dtype == "string":
        return None
    return pc.fill_null(values, 0).to_numpy(False)
