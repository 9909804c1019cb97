"""What `training_only` in a spec means: its checks, and the values that stand in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from hgr_tf.features.kind import Kind
    from hgr_tf.features.spec import Feature, FeatureSpec

Constant = str | int | float | bool | None
"""A raw value that stands for a feature outside of training; None for no value."""

_TYPES: dict[str, tuple[str, tuple[type, ...], pa.DataType]] = {
    "string": ("a text or an integer", (str, int), pa.string()),
    "int64": ("an integer", (int,), pa.int64()),
    "float32": ("a number", (int, float), pa.float32()),
}


def check_training_only(spec: FeatureSpec) -> None:
    """Checks the features that only training knows, and what stands for them.

    Raises:
        ValueError: Names the feature, what it must be and what came.
    """
    features = {f.name: f for f in spec.features() if not f.is_past}
    for name, constant in spec.training_only.items():
        if name not in features:
            raise ValueError(
                f"`training_only` must name features of the spec {list(features)}, "
                f"got {name!r}"
            )
        feature = features[name]
        if feature == spec.id_feature("user"):
            raise ValueError(
                f"training_only.{name} must be another feature than the user's id, "
                "whose embedding groups users"
            )
        if [form.size for form in feature.transform.forms] != [None]:
            raise ValueError(
                f"training_only.{name} must be a feature of one value per row, got one "
                f"of type {feature.transform.type!r}"
            )
        for other in _made_of(name, spec):
            if other not in spec.training_only:
                raise ValueError(
                    f"training_only.{name}: {other!r} is made of it, so that a request "
                    "would need it still"
                )
        _check_constant(feature, constant)


def as_column(constant: Constant, kind: Kind) -> pa.Array:
    """A raw value as a column [1] of the type of a kind's raw values."""
    _, _, dtype = _TYPES[kind.dtype]
    return pa.array([str(constant) if kind.dtype == "string" else constant], dtype)


def _made_of(name: str, spec: FeatureSpec) -> Iterator[str]:
    """Yields what is made of the values, or of the ids, of a feature."""
    for feature in spec.features():
        if name != feature.name and name in (
            *feature.reads,
            feature.transform.id_source,
        ):
            yield feature.name
    for counter, section in spec.counters.items():
        if name in section.by:
            yield counter


def _check_constant(feature: Feature, constant: Constant) -> None:
    name, kind = feature.name, feature.transform
    if constant is None:
        return
    if kind.parts:
        raise ValueError(
            f"training_only.{name} must be null, as it is made of {list(kind.parts)}, "
            f"got {constant!r}"
        )
    expected, types, _ = _TYPES[kind.dtype]
    if isinstance(constant, bool) or not isinstance(constant, types):
        raise ValueError(
            f"training_only.{name} must be {expected}, or null, got {constant!r}"
        )
