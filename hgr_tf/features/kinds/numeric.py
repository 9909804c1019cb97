"""A number that the model sees as a float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, FiniteFloat

from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.kind import (
    Arrays,
    Dtype,
    Form,
    Kind,
    Learned,
    needed,
    sample_numbers,
)

_LARGEST = 3.4e38  # about what float32 holds


class Numeric(Kind):
    """A number the model sees as float32.

    x <- default where missing; x <- sign(x) log(1 + |x|) with `log1p`;
    x <- (x - mean) / std with `standardize`, of the training data so far
    transformed.
    """

    type: Literal["numeric"] = "numeric"
    default: FiniteFloat = Field(0.0, ge=-_LARGEST, le=_LARGEST)
    log1p: bool = False
    standardize: bool = True

    @property
    def dtype(self) -> Dtype:
        """Type of the raw value."""
        return "float32"

    @property
    def forms(self) -> tuple[Form, ...]:
        """A number."""
        return (Form("", "float32"),)

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Counts values, and sums the transformed ones."""
        summary = super().summarize(column, hits)
        return summary.with_moments(self.transformed(column), hits)

    def learn(self, summary: ColumnSummary, before: Learned) -> Learned:
        """Mean and deviation of the transformed values."""
        return Learned(moments=before.moments or summary.mean_and_deviation())

    def lacks(self, learned: Learned) -> str | None:
        """Moments, to standardize."""
        if self.standardize and learned.moments is None:
            return "mean and deviation"
        return None

    def report(self, summary: ColumnSummary, learned: Learned) -> dict:
        """Mean and deciles of the raw values; moments of the transformed ones."""
        result = summary.report_numbers()
        if learned.moments:
            mean, deviation = learned.moments
            result |= {"transformed_mean": mean, "transformed_deviation": deviation}
        return result

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Transforms numbers, in float64 and rounded once."""

        def encode(column: pa.Array) -> Arrays:
            x = self.transformed(column)
            if self.standardize:
                mean, deviation = needed(learned.moments, "mean and deviation")
                x = (x - mean) / deviation
            return (pa.array(x.astype(np.float32)),)

        return encode

    def transformed(self, column: pa.Array) -> np.ndarray:
        """`[n]` float64: defaults filled in, then log1p; not yet standardized."""
        valid = column.is_valid().to_numpy(False)
        x = pc.fill_null(column, 0).to_numpy(False).astype(np.float64)
        x = np.where(valid, x, self.default)
        return np.sign(x) * np.log1p(np.abs(x)) if self.log1p else x

    def sample(
        self, random: np.random.Generator, shape: tuple[int, ...], learned: Learned
    ) -> np.ndarray:
        """Numbers spread about as those of training."""
        mean, deviation = learned.moments or (0.0, 1.0)
        if self.log1p:
            mean, deviation = np.expm1([min(mean, 20.0), min(deviation, 5.0)])
        return sample_numbers(random, shape, float(mean), float(deviation))
