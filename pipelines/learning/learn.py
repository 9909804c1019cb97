"""From what was seen of the training rows to a `FeatureEncoding`."""

from __future__ import annotations

from hgr_tf.features import FeatureEncoding, FeatureSpec, Learned
from hgr_tf.features.column_summary import ColumnSummary

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
    return FeatureEncoding.of(
        spec,
        {
            f.name: f.transform.learn(
                summaries[f.name], previous.learned(f.name) if previous else Learned()
            )
            for f in spec.features()
        },
    )
