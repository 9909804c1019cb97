"""PerSlice: Platt scaling of its own for each value of a feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from hgr_tf.calibration.platt import Platt
from hgr_tf.features.strict_model import Strict


class SliceScale(Strict):
    """The scale of the rows of one slice.

    Attributes:
        id: Id of the feature's value in the run's encoding.
        value: The value, for people.
        rows: Rows that it was fitted on.
        slope: See `Platt`.
        intercept: See `Platt`.
    """

    id: int = Field(ge=0)
    value: str
    rows: int
    slope: FiniteFloat = Field(gt=0)
    intercept: FiniteFloat


class PerSlice(Strict):
    """Platt scaling by the value of a feature.

    Rows of one slice keep their order; rows of two slices may change theirs.

    Attributes:
        column: The feature: one id per row.
        fallback: For values without a scale of their own, unseen ones among them.
        slices: A scale for each value that has one.
    """

    method: Literal["per-slice"] = "per-slice"
    column: str
    fallback: Platt
    slices: tuple[SliceScale, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs that it looks at."""
        return (self.column,)

    def logits(self, logits: Any, inputs: Mapping[str, Any]) -> Any:
        """Returns calibrated logits [B] of logits [B], as TensorFlow ops.

        Args:
            logits: [B] float.
            inputs: [B] int64 ids of the feature, by its name.
        """
        import tensorflow as tf

        dtype = logits.dtype.as_numpy_dtype
        scales = [(s.slope, s.intercept) for s in self.slices]
        scales.append((self.fallback.slope, self.fallback.intercept))
        table = np.array(scales, dtype)
        ids = np.array([s.id for s in self.slices], np.int64)
        # No lookup, but a product with [B, slices + 1] zeros and a one: few ops, and
        # those that ONNX has.
        found = tf.cast(inputs[self.column][:, None] == ids, logits.dtype)
        other = 1 - tf.reduce_sum(found, axis=1, keepdims=True)
        scale = tf.concat([found, other], axis=1) @ table
        return logits * scale[:, 0] + scale[:, 1]
