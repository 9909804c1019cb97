"""Rows checked against the spec: the good ones typed, the bad ones explained."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import Feature, FeatureSpec
from hgr_tf.features.keys import WEIGHT, weight_key
from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.reasons import (
    MISSING,
    NEGATIVE,
    OUT_OF_RANGE,
    OUT_OF_TIME,
    WITHOUT_GIVEN,
)
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import (
    Field,
    feature_field,
    id_field,
    key_field,
    label_field,
    log_fields,
    table_fields,
    time_field,
    weight_fields,
)
from hgr_tf.pipelines.rows.targets import target_of
from hgr_tf.pipelines.rows.times import cast_times, out_of_time
from hgr_tf.pipelines.sources import RawBatch, Rejected


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
    """Types the rows of a log and checks ids, labels, weights and time."""
    checks = Checks(batch)
    table = _cast_columns(batch, log_fields(spec), spec, checks)
    _check_kinds(table, (f for f in spec.given_features() if not f.from_table), checks)
    for owner in ("user", "item"):
        _require(table, id_field(spec, owner), checks)
    _check_labels(table, spec, checks)
    if row_weight := weight_fields(spec).get(WEIGHT):
        _check_weight(table, row_weight, np.ones(table.num_rows, bool), checks)
    if time := time_field(spec):
        times = _required_numbers(table, time, checks)
        if spec.time_unit:
            outside = out_of_time(times, spec.time_unit)
            checks.reject(time.column, OUT_OF_TIME, outside)
    return table, checks


def check_table(
    batch: RawBatch, spec: FeatureSpec, owner: TableOwner
) -> tuple[pa.Table, Checks]:
    """Types the rows of a user or item table and checks that they have a key."""
    checks = Checks(batch)
    table = _cast_columns(batch, table_fields(spec, owner), spec, checks)
    _check_kinds(table, (f for f in spec.features(owner) if f.from_table), checks)
    _require(table, key_field(spec, owner), checks)
    return table, checks


def _cast_columns(
    batch: RawBatch, fields: list[Field], spec: FeatureSpec, checks: Checks
) -> pa.Table:
    columns = {}
    for field in fields:
        raw = batch.columns.get(field.column)
        if raw is None:  # one that the spec lets an input lack
            raw = pa.nulls(len(batch.rows), pa.string())
        if field == time_field(spec):
            result = cast_times(raw, field, spec.missing_values, spec.time_unit)
        else:
            result = cast(raw, field, spec.missing_values)
        for reason, bad in result.bad:
            checks.reject(field.column, reason, bad)
        columns[field.name] = result.values
    return pa.table(columns)


def _check_kinds(table: pa.Table, features: Iterable[Feature], checks: Checks) -> None:
    for feature in features:
        values = table[feature_field(feature).name].combine_chunks()
        for reason, bad in feature.transform.faults(values):
            checks.reject(feature.column, reason, bad)


def _check_labels(table: pa.Table, spec: FeatureSpec, checks: Checks) -> None:
    positive: dict[str, np.ndarray] = {}
    weights = weight_fields(spec)
    for name, label in spec.all_labels.items():
        values = table[label_field(label).name].combine_chunks()
        positive[name] = target_of(table, label) > 0
        defined = np.ones(len(values), bool)
        if label.given is not None:
            defined = positive[label.given]
        missing = values.is_null().to_numpy(False)
        checks.reject(label.column, MISSING, missing & defined)
        numbers = pc.fill_null(values, 0).to_numpy(False)
        outside = ~missing & ((numbers < label.min) | (numbers > label.max))
        checks.reject(label.column, OUT_OF_RANGE, outside)
        checks.reject(label.column, WITHOUT_GIVEN, positive[name] & ~defined)
        if label.weight is not None:
            _check_weight(table, weights[weight_key(name)], defined, checks)


def _check_weight(
    table: pa.Table, field: Field, required: np.ndarray, checks: Checks
) -> None:
    """Rejects negative weights, and rows without one where it is required."""
    values = table[field.name].combine_chunks()
    missing = values.is_null().to_numpy(False)
    checks.reject(field.column, MISSING, missing & required)
    negative = pc.fill_null(values, 0).to_numpy(False) < 0
    checks.reject(field.column, NEGATIVE, negative)


def _require(table: pa.Table, field: Field, checks: Checks) -> None:
    """Rejects the rows where the field is null."""
    values = table[field.name].combine_chunks()
    checks.reject(field.column, MISSING, values.is_null().to_numpy(False))


def _required_numbers(table: pa.Table, field: Field, checks: Checks) -> np.ndarray:
    """Rejects the rows where the field is null; returns `[n]` numbers, 0 for null."""
    _require(table, field, checks)
    return pc.fill_null(table[field.name].combine_chunks(), 0).to_numpy(False)
