"""From what was seen of the training rows to a `FeatureEncoding`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import (
    Bucketized,
    Categorical,
    Feature,
    FeatureEncoding,
    FeatureSpec,
    Numeric,
)
from hgr_tf.pipelines.learning.observation import ColumnSummary

Summaries = dict[str, ColumnSummary]


def learn(
    spec: FeatureSpec,
    summaries: Summaries,
    previous: FeatureEncoding | None = None,
    grow: bool = False,
) -> FeatureEncoding:
    """Builds the encoding of the training data.

    Args:
        spec: The spec.
        summaries: By name of feature.
        previous: Taken over as it is, so that ids keep their meaning.
        grow: Append values that `previous` lacks to its vocabularies.
    """
    if previous and not grow:
        return FeatureEncoding(
            spec, previous.vocabularies, previous.boundaries, previous.moments
        )
    vocabularies, boundaries, moments = {}, {}, {}
    for feature in spec.features():
        name, transform = feature.name, feature.transform
        summary = summaries[name]
        if isinstance(transform, Categorical):
            known = previous.vocabularies.get(name, ()) if previous else ()
            vocabularies[name] = vocabulary(transform, summary, known)
        if isinstance(transform, Bucketized):
            boundaries[name] = transform.boundaries or quantiles(
                summary, transform.num_buckets
            )
        if isinstance(transform, Numeric):
            moments[name] = mean_and_deviation(summary)
    if previous:
        boundaries.update(previous.boundaries)
        moments.update(previous.moments)
    return FeatureEncoding(spec, vocabularies, boundaries, moments)


def vocabulary(
    transform: Categorical, summary: ColumnSummary, known: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Known values first, then those of the data by falling count and text."""
    ranked = ranked_counts(summary)
    enough = ranked.filter(pc.greater_equal(ranked["count"], transform.min_count))
    # A line of a vocabulary file cannot hold these.
    texts = enough["text"].filter(
        pc.invert(pc.match_substring_regex(enough["text"], r"[\r\n]"))
    )
    if known:
        texts = texts.filter(pc.invert(pc.is_in(texts, pa.array(known, pa.string()))))
    size = transform.max_size
    room = None if size is None else max(0, size - len(known))
    return (*known, *texts.slice(0, room).to_pylist())


def ranked_counts(summary: ColumnSummary) -> pa.Table:
    """Columns "text" and "count", by falling count, then by text."""
    counts = summary.counts
    table = pa.table(
        {
            "text": counts["value"].cast(pa.string()),
            "count": counts["count"],
        }
    )
    return table.sort_by([("count", "descending"), ("text", "ascending")])


def quantiles(summary: ColumnSummary, num_buckets: int) -> tuple[float, ...]:
    """Distinct values at i / num_buckets of the training values, 0 < i < n."""
    if not summary.values:
        return (0.0,)
    counts = summary.counts.sort_by("value")
    values = counts["value"].to_numpy()
    reached = np.cumsum(counts["count"].to_numpy())
    # The smallest value with at least this share of the values at or below it.
    ranks = np.ceil(np.arange(1, num_buckets) / num_buckets * summary.values)
    found = values[np.searchsorted(reached, ranks)]
    return tuple(float(v) for v in np.unique(found))


def mean_and_deviation(summary: ColumnSummary) -> tuple[float, float]:
    """Mean and population standard deviation; 1 for a constant."""
    if not summary.rows:
        return 0.0, 1.0
    mean = summary.total / summary.rows
    variance = float(summary.squares / summary.rows - mean * mean)
    return float(mean), variance**0.5 if variance > 0 else 1.0


def counts_of(feature: Feature, encoding: FeatureEncoding, summary: ColumnSummary):
    """`[n]` int64: how often each value of the vocabulary was seen in training."""
    texts = pa.array(encoding.vocabularies[feature.name], pa.string())
    ranked = ranked_counts(summary)
    found = pc.index_in(texts, value_set=ranked["text"].combine_chunks())
    counts = ranked["count"].combine_chunks().take(found)
    return pc.fill_null(counts, 0).to_numpy(False)
