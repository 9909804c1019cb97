"""What features made of other features mean: the checks of a spec."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hgr_tf.features.kind import Kind
    from hgr_tf.features.spec import Feature, FeatureSpec


def check_parts(spec: FeatureSpec) -> None:
    """Checks that features are made of ones that can be, in the section they belong to.

    Raises:
        ValueError: Names the feature, what it must be and what came.
    """
    given = {f.name: f for f in spec.given_features()}
    able = [name for name, f in given.items() if _is_one_text(f.transform)]
    for feature in spec.features():
        parts = feature.transform.parts
        unable = [name for name in parts if name not in able]
        if unable:
            raise ValueError(
                f"{feature.name}.of must name features of one text or integer per "
                f"row, among {able}, got {unable}"
            )
        if parts and feature.owner != (owner := _owner(given[n] for n in parts)):
            raise ValueError(
                f"{feature.name}: a {feature.transform.type} of {list(parts)} depends "
                f"on the {owner}, so it must be in the section {owner!r}, got "
                f"{feature.owner!r}"
            )


def _is_one_text(kind: Kind) -> bool:
    return (
        kind.is_categorical and kind.forms[0].size is None and kind.dtype != "float32"
    )


def _owner(parts: Iterable[Feature]) -> str:
    """The item, if any part is the item's; else the context, if any is of it."""
    return min((part.owner for part in parts), key=("item", "context", "user").index)
