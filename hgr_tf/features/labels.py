"""Sections of the spec on labels: their rule, and the sampling of negatives."""

from __future__ import annotations

from pydantic import Field, model_validator
from typing_extensions import Self

from hgr_tf.features.splits import TRAIN
from hgr_tf.features.strict_model import Strict


class Label(Strict):
    """The label column, and how its values become targets.

    Attributes:
        column: Column of the log.
        positive_at_least: When given, the target is 1 for values at or above
            it and 0 below; otherwise the value itself is the target.
        min: Smallest valid raw value.
        max: Largest valid raw value.
    """

    column: str
    positive_at_least: float | None = None
    min: float = 0.0
    max: float = 1.0

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min must be below max, got {self.min} and {self.max}")
        return self

    @property
    def is_binary(self) -> bool:
        """Whether every target is 0 or 1 (graded labels otherwise)."""
        return self.positive_at_least is not None or (self.min, self.max) == (0, 1)


class NegativeSampling(Strict):
    """Keeps a share of the negatives; the kept ones weigh 1 / rate more.

    Attributes:
        rate: Probability of keeping a row whose target is 0.
        splits: Splits that are sampled; the others stay whole.
    """

    rate: float = Field(gt=0, le=1)
    splits: tuple[str, ...] = (TRAIN,)
