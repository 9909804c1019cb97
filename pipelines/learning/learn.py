"""From what was seen of the training rows to a `FeatureEncoding`."""

from __future__ import annotations

from hgr_tf.features import Feature, FeatureEncoding, FeatureSpec, Learned
from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.vocabulary_kind import VocabularyKind

Summaries = dict[str, ColumnSummary]


def learn(
    spec: FeatureSpec,
    summaries: Summaries,
    previous: FeatureEncoding | None = None,
    grow: bool = False,
    evict_after: int | None = None,
) -> FeatureEncoding:
    """Builds the encoding of the training data.

    Args:
        spec: The spec.
        summaries: By name of feature.
        previous: Taken over as it is, so that ids keep their meaning; how long values
            were unseen is counted anew.
        grow: Append values that `previous` lacks to its vocabularies.
        evict_after: Prepared folders in a row without a value after which a new one may
            take its id; None for never.
    """
    if previous and not grow:
        return FeatureEncoding(
            spec,
            previous.vocabularies,
            previous.boundaries,
            previous.moments,
            {name: (0,) * len(ages) for name, ages in previous.unseen.items()},
        )

    def learned(feature: Feature) -> Learned:
        kind, summary = feature.transform, summaries[feature.name]
        before = previous.learned(feature.name) if previous else Learned()
        if evict_after is not None and isinstance(kind, VocabularyKind):
            return kind.learn_reusing(summary, before, evict_after)
        return kind.learn(summary, before)

    return FeatureEncoding.of(
        spec,
        {feature.name: learned(feature) for feature in spec.features()},
    )
