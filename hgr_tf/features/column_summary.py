"""ColumnSummary: what a pass over the training rows saw of one feature.

Bundles come in any order and size. Counts are integers and sums are fractions,
so that merging in any order gives the same result to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MAX_DISTINCT_NUMBERS = 200_000
"""Past this many, numbers are counted rounded to 12 bits of mantissa."""

TOP_VALUES = 20
"""How many of the most frequent values a report lists."""

_COARSE = np.uint32(0xFFFF_F000)
_DECILES = np.linspace(0, 1, 11)


@dataclass
class ColumnSummary:
    """What was seen of one feature in the training rows.

    Attributes:
        rows: Training rows.
        missing: Rows whose value, or list, is missing.
        values: Values seen; more or fewer than rows for lists.
        counts: Columns "value" and "count", a row for each distinct value;
            None for kinds that do not keep their values.
        coarse: Whether numbers in `counts` are rounded.
        total: Sum of the numeric values, as the kind transforms them.
        squares: Sum of their squares.
    """

    rows: int = 0
    missing: int = 0
    values: int = 0
    counts: pa.Table | None = None
    coarse: bool = False
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    @classmethod
    def of(cls, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Summarizes `[n]` values or lists, without their values.

        Args:
            column: The values.
            hits: `[n]` int64: how often each row counts.
        """
        lengths = value_lengths(column)
        return cls(
            rows=int(hits.sum()),
            missing=int(hits[lengths == 0].sum()),
            values=int((hits * lengths).sum()),
        )

    def with_counts(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Adds how often each distinct value came; see `of`."""
        flat = column.flatten() if is_list(column) else column.drop_null()
        if (hits == 1).all():
            found, counts = pc.value_counts(flat).flatten()
            self.counts = pa.table({"value": found, "count": counts})
        else:
            weights = np.repeat(hits, value_lengths(column))
            seen = pa.table({"value": flat, "count": pa.array(weights)})
            self.counts = _sum_counts(seen.filter(pc.greater(seen["count"], 0)))
        return self._bounded()

    def with_moments(self, numbers: np.ndarray, hits: np.ndarray) -> ColumnSummary:
        """Adds the sums of `[n]` float64 numbers and of their squares."""
        self.total = Fraction(float(np.sum(numbers * hits)))
        self.squares = Fraction(float(np.sum(numbers * numbers * hits)))
        return self

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

    def ranked_counts(self) -> pa.Table:
        """Columns "text" and "count", by falling count, then by text."""
        counts = self._kept_counts()
        table = pa.table(
            {"text": counts["value"].cast(pa.string()), "count": counts["count"]}
        )
        return table.sort_by([("count", "descending"), ("text", "ascending")])

    def counts_of(self, vocabulary: tuple[str, ...]) -> np.ndarray:
        """`[n]` int64: how often each value of a vocabulary was seen."""
        ranked = self.ranked_counts()
        texts = pa.array(vocabulary, pa.string())
        found = pc.index_in(texts, value_set=ranked["text"].combine_chunks())
        counts = ranked["count"].combine_chunks().take(found)
        return pc.fill_null(counts, 0).to_numpy(False)

    def quantiles(self, num_buckets: int) -> tuple[float, ...]:
        """Distinct values at i / num_buckets of the training values, 0 < i < n."""
        if not self.values:
            return (0.0,)
        counts = self._kept_counts().sort_by("value")
        values = counts["value"].to_numpy()
        reached = np.cumsum(counts["count"].to_numpy())
        # The smallest value with at least this share of the values at or below it.
        ranks = np.ceil(np.arange(1, num_buckets) / num_buckets * self.values)
        found = values[np.searchsorted(reached, ranks)]
        return tuple(float(v) for v in np.unique(found))

    def mean_and_deviation(self) -> tuple[float, float]:
        """Mean and population standard deviation; 1 for a constant."""
        if not self.rows:
            return 0.0, 1.0
        mean = self.total / self.rows
        variance = float(self.squares / self.rows - mean * mean)
        return float(mean), variance**0.5 if variance > 0 else 1.0

    def report_values(self, vocabulary: tuple[str, ...]) -> dict:
        """For statistics.json: distinct values, unknown share, the most frequent.

        Values "with_line_ends" are never in a vocabulary, whose file has a line for
        each value.
        """
        ranked = self.ranked_counts()
        known = pc.is_in(ranked["text"], pa.array(vocabulary, pa.string()))
        broken = pc.match_substring_regex(ranked["text"], r"[\r\n]")
        top = ranked.slice(0, TOP_VALUES).to_pylist()
        unknown = self.values - _count_where(ranked, known)
        return {
            "distinct": ranked.num_rows,
            "unknown_share": share(unknown, self.values),
            "with_line_ends": _count_where(ranked, broken),
            "top": [{"value": row["text"], "count": row["count"]} for row in top],
        }

    def report_numbers(self) -> dict:
        """For statistics.json: mean and deciles; nothing if no value was seen."""
        if not self.values:
            return {}
        counts = self._kept_counts().sort_by("value")
        values = counts["value"].to_numpy().astype(np.float64)
        weights = counts["count"].to_numpy()
        reached = np.cumsum(weights)
        at = np.searchsorted(reached, np.maximum(1, np.ceil(_DECILES * reached[-1])))
        return {
            "mean": float(np.sum(values * weights) / reached[-1]),
            "deciles": [float(v) for v in values[at]],
        }

    def _kept_counts(self) -> pa.Table:
        if self.counts is None:
            raise ValueError("counts of values must be kept, see `with_counts`")
        return self.counts

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


def is_list(column: pa.Array) -> bool:
    """Whether a typed column holds lists."""
    return pa.types.is_list(column.type)


def value_lengths(column: pa.Array) -> np.ndarray:
    """`[n]` int64: values of each row; a null or an empty list has 0."""
    if is_list(column):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        return lengths.to_numpy(False).astype(np.int64)
    return column.is_valid().to_numpy(False).astype(np.int64)


def share(part: int, whole: int) -> float | None:
    """A share rounded for people; None of nothing."""
    return round(part / whole, 6) if whole else None


def _count_where(counts: pa.Table, chosen: pa.ChunkedArray) -> int:
    return pc.sum(counts["count"].filter(chosen)).as_py() or 0


def _sum_counts(counts: pa.Table) -> pa.Table:
    summed = counts.group_by("value", use_threads=False).aggregate([("count", "sum")])
    summed = pa.table({"value": summed["value"], "count": summed["count_sum"]})
    # Its chunks are slices of one whole, which each of them would be pickled with.
    return summed.combine_chunks()
