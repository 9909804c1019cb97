"""What `shares` in a feature's section means: the checks of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgr_tf.features.vocabulary_kind import VocabularyKind

if TYPE_CHECKING:
    from hgr_tf.features.spec import FeatureSpec


def check_shared_ids(spec: FeatureSpec) -> None:
    """Checks that features share ids with one that has a vocabulary of its own.

    Raises:
        ValueError: Names the feature, what `shares` must be and what came.
    """
    kinds = {f.name: f.transform for f in spec.given_features()}
    able = [n for n, k in kinds.items() if isinstance(k, VocabularyKind)]
    owners = [name for name in able if kinds[name].id_source is None]
    user = spec.id_feature("user")
    for name, kind in kinds.items():
        source = kind.id_source
        if source is None:
            continue
        if user is not None and user.name == name:
            raise ValueError(
                f"{name}.shares: the user's id must have ids of its own, since its "
                f"embedding groups users; let {source!r} share them, got {source!r}"
            )
        if source not in owners:
            raise ValueError(
                f"{name}.shares must name a feature with a vocabulary of its own, one "
                f"of {owners}, got {source!r}"
            )
        if kinds[source].id_space != kind.id_space:
            raise ValueError(
                f"{name}: `dtype` and `oov_buckets` must be those of {source!r}, whose "
                f"ids it shares: {kinds[source].id_space}, "
                f"got {kind.id_space}"
            )
