"""What one pass over all rows sees: splits, days, and the training rows' features."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from hgr_tf.features import Feature, FeatureSpec
from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.rows.fields import feature_field
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.tables.side_table import SideTable

MOST_BYTES = (1 << 31) - (1 << 26)
"""Of the distinct values of all features: messages and texts end at 2 GiB."""


@dataclass
class Observation:
    """What was seen of all rows, and of the features in the training rows.

    Attributes:
        splits: [labels, 2] by index of the split: rows where a label is defined, and
            where it is positive. The first label is defined in every row.
        days: The same by index of the split and day since 1970.
        log: Summaries of the features that come from the log.
        hits: Training rows that each row of a side table was joined to.
    """

    splits: dict[int, np.ndarray] = field(default_factory=dict)
    days: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    log: dict[str, ColumnSummary] = field(default_factory=dict)
    hits: dict[str, np.ndarray] = field(default_factory=dict)

    def check_size(self) -> None:
        """Raises `PrepareError` where its values are more than a runner passes on."""
        counts = {n: s.counts for n, s in self.log.items() if s.counts is not None}
        total = sum(table.nbytes for table in counts.values())
        if total <= MOST_BYTES:
            return
        name = max(counts, key=lambda n: counts[n].nbytes)
        raise PrepareError(
            f"the distinct values of the training rows take {total:,} bytes, more than "
            f"the {MOST_BYTES:,} that one worker can hand on; most of them are "
            f"{counts[name].num_rows:,} values of {name!r}: make it `hashed`"
        )

    def __add__(self, other: Observation) -> Observation:
        return Observation(
            *(
                _sum_by_key(getattr(self, name), getattr(other, name))
                for name in ("splits", "days", "log", "hits")
            )
        )


def summarize(
    feature: Feature, column: pa.Array, hits: np.ndarray | None = None
) -> ColumnSummary:
    """Summarizes a feature.

    Args:
        feature: The feature.
        column: Its typed values in rows of the log, or of a table.
        hits: How often each row counts; once by default.
    """
    if hits is None:
        hits = np.ones(len(column), np.int64)
    return feature.transform.summarize(column, hits)


def from_log(spec: FeatureSpec, inline: Collection[str]) -> list[Feature]:
    """Features whose values lie in the log rows.

    Args:
        spec: The spec.
        inline: Owners whose tables were joined into the rows.
    """
    return [f for f in spec.features() if not f.from_table or f.owner in inline]


def _sum_by_key(a: dict, b: dict) -> dict:
    return {
        key: a[key] + b[key] if key in a and key in b else a.get(key, b.get(key))
        for key in {**a, **b}
    }


def all_summaries(
    observation: Observation, settings: Settings, sides: Mapping[str, SideTable]
) -> dict[str, ColumnSummary]:
    """The summaries of all features, those of side tables by their hits."""
    summaries = dict(observation.log)
    for owner in settings.side_owners():
        table = sides[owner]
        for feature in settings.spec.features(owner):
            if feature.from_table:
                hits = observation.hits[owner]
                column = table.rows[feature_field(feature).name].combine_chunks()
                summaries[feature.name] = summarize(feature, column, hits)
    return summaries
