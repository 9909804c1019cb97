"""Sections of the spec on labels: their rules, and the sampling of negatives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from typing_extensions import Self

from hgr_tf.features.splits import TRAIN
from hgr_tf.features.strict_model import Strict

if TYPE_CHECKING:
    from hgr_tf.features.spec import FeatureSpec

NAME = r"[A-Za-z][A-Za-z0-9_]*"
"""What features and labels are called: they name tensors of the served model."""

_OUTPUTS = frozenset({"probabilities", "logits"})
"""Outputs of the served model that are of no head."""


class Label(Strict):
    """A label column, and how its values become targets.

    Attributes:
        column: Column of the log.
        positive_at_least: When given, the target is 1 for values at or above
            it and 0 below; otherwise the value itself is the target.
        min: Smallest valid raw value.
        max: Largest valid raw value.
        given: An earlier label of the spec's `labels`: this label is only defined in
            the rows where that one is positive. The others may lack it; their target
            is 0.
        weight: Column of weights of this label alone, which multiply the row's
            weight; for one of the spec's `labels`. The rows where the label is not
            defined may lack it; it is 1 there.
    """

    column: str
    positive_at_least: float | None = None
    min: float = 0.0
    max: float = 1.0
    given: str | None = None
    weight: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_column(cls, data: object) -> object:
        return {"column": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min must be below max, got {self.min} and {self.max}")
        return self

    @property
    def is_binary(self) -> bool:
        """Whether every target is 0 or 1 (graded labels otherwise)."""
        return self.positive_at_least is not None or (self.min, self.max) == (0, 1)

    @model_serializer(mode="wrap")
    def _given_alone(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Digests of specs that say nothing of several labels stay what they were.
        absent = [name for name in ("given", "weight") if getattr(self, name) is None]
        return {name: value for name, value in dump(self).items() if name not in absent}


def check_labels(spec: FeatureSpec) -> None:
    """Checks the labels against each other and the rest of the spec.

    Raises:
        ValueError: Names the field, what it must be and what came.
    """
    if not spec.labels:
        for name in ("given", "weight"):
            if value := getattr(spec.label, name):
                raise ValueError(f"label.{name} is for `labels`, got {value!r}")
        return
    bad = [name for name in spec.labels if not re.fullmatch(NAME, name)]
    if bad:
        raise ValueError(
            "a label's name must be letters, digits and '_', from a letter on, since "
            f"it names an output of the served model; got {bad}"
        )
    taken = sorted({feature.name for feature in spec.features()} & set(spec.labels))
    if taken:
        raise ValueError(f"labels must not have the names of features, got {taken}")
    outputs = sorted(_OUTPUTS & set(spec.labels))
    if outputs:
        raise ValueError(
            f"labels must not have the names {sorted(_OUTPUTS)}, which outputs of the "
            f"served model have; got {outputs}"
        )
    earlier: list[str] = []
    for name, label in spec.labels.items():
        if label.given is not None and label.given not in earlier:
            raise ValueError(
                f"labels.{name}.given must be an earlier label, among {earlier}, got "
                f"{label.given!r}"
            )
        earlier.append(name)


class NegativeSampling(Strict):
    """Keeps a share of the negatives; the kept ones weigh 1 / rate more.

    Attributes:
        rate: Probability of keeping a row where the target of every label is 0.
        splits: Splits that are sampled; the others stay whole.
    """

    rate: float = Field(gt=0, le=1)
    splits: tuple[str, ...] = (TRAIN,)
