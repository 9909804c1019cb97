"""statistics.json: what the data looks like, for people and for checks."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from hgr_tf.features import (
    Categorical,
    Feature,
    FeatureEncoding,
    Hashed,
    HistoryList,
)
from hgr_tf.pipelines.learning.learn import ranked_counts
from hgr_tf.pipelines.learning.observation import ColumnSummary, Observation
from hgr_tf.pipelines.settings import Settings

TOP_VALUES = 20
_DECILES = np.linspace(0, 1, 11)
_EPOCH = date(1970, 1, 1)


def statistics(
    observation: Observation,
    summaries: dict[str, ColumnSummary],
    encoding: FeatureEncoding,
    settings: Settings,
) -> dict:
    """Rows and label rate of each split and day; each feature in training."""
    return {
        "splits": {
            settings.splits[split]: _rate(counts)
            for split, counts in sorted(observation.splits.items())
        },
        "days": [
            {
                "day": str(_EPOCH + timedelta(days=day)),
                "split": settings.splits[split],
                **_rate(counts),
            }
            for (split, day), counts in sorted(observation.days.items())
        ],
        "features": {
            f.name: _feature(f, summaries[f.name], encoding)
            for f in settings.spec.features()
        },
    }


def _rate(counts: np.ndarray) -> dict:
    rows, positives = (int(n) for n in counts)
    rate = round(positives / rows, 6) if rows else None
    return {"rows": rows, "positives": positives, "positive_rate": rate}


def _feature(
    feature: Feature, summary: ColumnSummary, encoding: FeatureEncoding
) -> dict:
    transform = feature.transform
    result = {
        "owner": feature.owner,
        "type": transform.type,
        "rows": summary.rows,
        "missing": summary.missing,
        "missing_share": _share(summary.missing, summary.rows),
    }
    if transform.is_multivalued:
        result["mean_length"] = _share(summary.values, summary.rows)
    if transform.is_categorical:
        result["num_ids"] = encoding.num_ids(feature.name)
    if isinstance(transform, Hashed | HistoryList):
        return result
    if isinstance(transform, Categorical):
        return result | _values(feature, summary, encoding)
    return result | _numbers(summary) | _moments(feature, encoding)


def _values(feature, summary: ColumnSummary, encoding: FeatureEncoding) -> dict:
    ranked = ranked_counts(summary)
    known = set(encoding.vocabularies[feature.name])
    texts, counts = ranked["text"].to_pylist(), ranked["count"].to_pylist()
    in_vocabulary = sum(n for t, n in zip(texts, counts, strict=True) if t in known)
    top = zip(texts[:TOP_VALUES], counts[:TOP_VALUES], strict=True)
    return {
        "distinct": len(texts),
        "unknown_share": _share(summary.values - in_vocabulary, summary.values),
        "top": [{"value": text, "count": count} for text, count in top],
    }


def _numbers(summary: ColumnSummary) -> dict:
    if not summary.values:
        return {}
    counts = summary.counts.sort_by("value")
    values = counts["value"].to_numpy().astype(np.float64)
    weights = counts["count"].to_numpy()
    reached = np.cumsum(weights)
    at = np.searchsorted(reached, np.maximum(1, np.ceil(_DECILES * reached[-1])))
    return {
        "mean": float(np.sum(values * weights) / reached[-1]),
        "deciles": [float(v) for v in values[at]],
    }


def _moments(feature: Feature, encoding: FeatureEncoding) -> dict:
    if feature.name not in encoding.moments:
        return {}
    mean, deviation = encoding.moments[feature.name]
    return {"transformed_mean": mean, "transformed_deviation": deviation}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
