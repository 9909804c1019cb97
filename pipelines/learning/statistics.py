"""statistics.json: what the data looks like, for people and for checks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from hgr_tf.features import Feature, FeatureEncoding, FeatureSpec
from hgr_tf.features.column_summary import ColumnSummary, share
from hgr_tf.pipelines.learning.observation import Observation
from hgr_tf.pipelines.settings import Settings

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
            settings.splits[split]: _rates(counts, settings.spec)
            for split, counts in sorted(observation.splits.items())
        },
        "days": [
            {
                "day": str(_EPOCH + timedelta(days=day)),
                "split": settings.splits[split],
                **_rates(counts, settings.spec),
            }
            for (split, day), counts in sorted(observation.days.items())
        ],
        "features": {
            f.name: feature_statistics(f, summaries[f.name], encoding)
            for f in settings.spec.features()
        },
    }


def _rates(counts: np.ndarray, spec: FeatureSpec) -> dict:
    """What is told of the first label, and of each of several."""
    rates = _rate(counts[0])
    if spec.labels:
        rates["labels"] = dict(zip(spec.labels, map(_rate, counts), strict=True))
    return rates


def _rate(counts: np.ndarray) -> dict:
    rows, positives = (int(n) for n in counts)
    rate = round(positives / rows, 6) if rows else None
    return {"rows": rows, "positives": positives, "positive_rate": rate}


def feature_statistics(
    feature: Feature, summary: ColumnSummary, encoding: FeatureEncoding
) -> dict[str, Any]:
    """What statistics.json has of a feature.

    Args:
        feature: The feature.
        summary: What was seen of it.
        encoding: Its vocabulary says which values are known.
    """
    transform, learned = feature.transform, encoding.learned(feature.name)
    result = {
        "owner": feature.owner,
        "type": transform.type,
        "rows": summary.rows,
        "missing": summary.missing,
        "missing_share": share(summary.missing, summary.rows),
    }
    if transform.is_multivalued:
        result["mean_length"] = share(summary.values, summary.rows)
    if transform.is_categorical:
        result["num_ids"] = encoding.num_ids(feature.name)
    return result | transform.report(summary, learned)
