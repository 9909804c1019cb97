"""Platt: a line through the logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, FiniteFloat

from hgr_tf.features.strict_model import Strict


class Platt(Strict):
    """Platt scaling: logit' = slope * logit + intercept.

    The slope is positive, so that no two rows change their order.

    References:
        Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    method: Literal["platt"] = "platt"
    slope: FiniteFloat = Field(gt=0)
    intercept: FiniteFloat

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs that it looks at: none."""
        return ()

    def logits(self, logits: Any, inputs: Mapping[str, Any]) -> Any:
        """Returns calibrated logits [B] of logits [B], as TensorFlow ops."""
        return self.slope * logits + self.intercept
