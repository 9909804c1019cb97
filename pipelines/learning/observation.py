"""What one pass over the training rows sees; sums of it are exact.

Bundles come in any order and size. Counts are integers and sums are fractions,
so that merging in any order gives the same result to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import Feature, FeatureSpec, Hashed, HistoryList, Numeric
from hgr_tf.pipelines.encoding.feature_encoder import transformed_numbers
from hgr_tf.pipelines.rows.fields import feature_field
from hgr_tf.pipelines.settings import Settings

MAX_DISTINCT_NUMBERS = 200_000
"""Past this many, numbers are counted rounded to 12 bits of mantissa."""

_COARSE = np.uint32(0xFFFF_F000)


@dataclass
class ColumnSummary:
    """What was seen of one feature in the training rows.

    Attributes:
        rows: Training rows.
        missing: Rows whose value, or list, is missing.
        values: Values seen; more or fewer than rows for lists.
        counts: Columns "value" and "count", a row for each distinct value;
            None for hashed features, whose values are not kept.
        coarse: Whether numbers in `counts` are rounded.
        total: Sum of the numeric values, defaults filled in and log1p taken.
        squares: Sum of their squares.
    """

    rows: int = 0
    missing: int = 0
    values: int = 0
    counts: pa.Table | None = None
    coarse: bool = False
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    def __add__(self, other: ColumnSummary) -> ColumnSummary:
        counts = [s.counts for s in (self, other) if s.counts is not None]
        return ColumnSummary(
            rows=self.rows + other.rows,
            missing=self.missing + other.missing,
            values=self.values + other.values,
            counts=_sum_counts(pa.concat_tables(counts)) if counts else None,
            coarse=self.coarse or other.coarse,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )._bounded()

    def _bounded(self) -> ColumnSummary:
        counts = self.counts
        if counts is None or not pa.types.is_floating(counts["value"].type):
            return self
        if not self.coarse and counts.num_rows <= MAX_DISTINCT_NUMBERS:
            return self
        # A map of each value alone: it does not matter when it is applied.
        values = counts["value"].to_numpy().astype(np.float32)
        values = (values.view(np.uint32) & _COARSE).view(np.float32)
        rounded = pa.table({"value": values, "count": counts["count"]})
        self.counts, self.coarse = _sum_counts(rounded), True
        return self


@dataclass
class Observation:
    """What was seen of all rows, and of the features in the training rows.

    Attributes:
        splits: [rows, positives] by index of the split.
        days: [rows, positives] by index of the split and day since 1970.
        log: Summaries of the features that come from the log.
        hits: Training rows that each row of a side table was joined to.
    """

    splits: dict[int, np.ndarray] = field(default_factory=dict)
    days: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    log: dict[str, ColumnSummary] = field(default_factory=dict)
    hits: dict[str, np.ndarray] = field(default_factory=dict)

    def __add__(self, other: Observation) -> Observation:
        return Observation(
            *(
                _sum_by_key(getattr(self, name), getattr(other, name))
                for name in ("splits", "days", "log", "hits")
            )
        )


def summarize(
    feature: Feature, rows: pa.Table, hits: np.ndarray | None = None
) -> ColumnSummary:
    """Summarizes a feature.

    Args:
        feature: The feature.
        rows: Rows that hold its field: of the log, or of a table.
        hits: How often each row counts; once by default.
    """
    column = rows[feature_field(feature).name].combine_chunks()
    if hits is None:
        hits = np.ones(len(column), np.int64)
    if isinstance(feature.transform, HistoryList):
        return _of_lengths(column, hits)
    if feature.transform.is_multivalued:
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        absent = pc.equal(lengths, 0).to_numpy(False)
        parents = pc.list_parent_indices(column).to_numpy(False)
        flat, weights = column.flatten(), hits[parents]
    else:
        absent = column.is_null().to_numpy(False)
        flat, weights = column.drop_null(), hits[~absent]
    summary = ColumnSummary(
        rows=int(hits.sum()),
        missing=int(hits[absent].sum()),
        values=int(weights.sum()),
    )
    if not isinstance(feature.transform, Hashed):
        summary.counts = _count(flat, weights)
    if isinstance(feature.transform, Numeric):
        x = transformed_numbers(column, feature.transform)
        summary.total = Fraction(float(np.sum(x * hits)))
        summary.squares = Fraction(float(np.sum(x * x * hits)))
    return summary._bounded()


def from_log(spec: FeatureSpec, inline: frozenset[str]) -> list[Feature]:
    """Features whose values lie in the log rows.

    Args:
        spec: The spec.
        inline: Owners whose tables were joined into the rows.
    """
    return [f for f in spec.features() if not f.from_table or f.owner in inline]


def _of_lengths(column: pa.ListArray, hits: np.ndarray) -> ColumnSummary:
    """Of a history, whose values are those of another feature."""
    lengths = np.diff(column.offsets.to_numpy())
    return ColumnSummary(
        rows=int(hits.sum()),
        missing=int(hits[lengths == 0].sum()),
        values=int((lengths * hits).sum()),
    )


def _count(values: pa.Array, weights: np.ndarray) -> pa.Table:
    seen = pa.table({"value": values, "count": pa.array(weights)})
    return _sum_counts(seen.filter(pc.greater(seen["count"], 0)))


def _sum_counts(counts: pa.Table) -> pa.Table:
    summed = counts.group_by("value", use_threads=False).aggregate([("count", "sum")])
    return pa.table({"value": summed["value"], "count": summed["count_sum"]})


def _sum_by_key(a: dict, b: dict) -> dict:
    return {
        key: a[key] + b[key] if key in a and key in b else a.get(key, b.get(key))
        for key in {**a, **b}
    }


def all_summaries(
    observation: Observation, settings: Settings, sides
) -> dict[str, ColumnSummary]:
    """The summaries of all features, those of side tables by their hits."""
    summaries = dict(observation.log)
    for owner, table in sides.items():
        for feature in settings.spec.features(owner):
            if feature.from_table:
                hits = observation.hits[owner]
                summaries[feature.name] = summarize(feature, table.rows, hits)
    return summaries
