"""The features of a spec that a ranker sees: all but those it goes without."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hgr_tf.features import Feature, FeatureSpec
from hgr_tf.features.past import counter_features, history_feature


def seen_features(spec: FeatureSpec, without: Collection[str]) -> list[Feature]:
    """Returns the features of a spec that are served, but for some, in order.

    Args:
        spec: The spec.
        without: Names of features, or of histories and counters for all of theirs.

    Raises:
        ValueError: A name is none of these, or nothing is left.
    """
    served = list(spec.served_features())
    names = {feature.name: {feature.name} for feature in served}
    names |= {name: set(parts) for name, parts in _past(spec)}
    unknown = sorted(set(without) - set(names))
    if unknown:
        raise ValueError(
            "`without` must name features, histories or counters of the spec, "
            f"{sorted(names)}; got {unknown}"
        )
    left_out = set().union(*(names[name] for name in without))
    seen = [feature for feature in served if feature.name not in left_out]
    if not seen:
        raise ValueError("`without` must leave a feature of the spec, got all of them")
    return seen


def _past(spec: FeatureSpec) -> Iterator[tuple[str, list[str]]]:
    for name, history in spec.history.items():
        yield name, [history_feature(name, listed) for listed in history.listed]
    for name, counter in spec.counters.items():
        yield name, list(counter_features(name, counter))
