"""A number turned into the id of its bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, FiniteFloat, model_validator
from typing_extensions import Self

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


class Bucketized(Kind):
    """A number turned into the id of its bucket.

    Ids: 0 missing, then 1 + number of boundaries at or below the value.

    Attributes:
        num_buckets: Quantile buckets of the training data; or
        boundaries: Ascending boundaries, given.
    """

    type: Literal["bucketized"] = "bucketized"
    num_buckets: int | None = Field(None, ge=2)
    boundaries: tuple[FiniteFloat, ...] | None = None

    @property
    def dtype(self) -> Dtype:
        """Type of the raw value."""
        return "float32"

    @property
    def forms(self) -> tuple[Form, ...]:
        """An id."""
        return (Form("", "int64"),)

    def learn(self, summary: ColumnSummary, before: Learned) -> Learned:
        """Boundaries: those before, those given, or quantiles of the data."""
        boundaries = before.boundaries or self.boundaries
        if not boundaries and self.num_buckets:
            boundaries = summary.quantiles(self.num_buckets)
        return Learned(boundaries=boundaries)

    def lacks(self, learned: Learned) -> str | None:
        """Boundaries."""
        return "boundaries" if learned.boundaries is None else None

    def num_ids(self, learned: Learned) -> int:
        """Missing, and one bucket more than there are boundaries."""
        return 2 + len(needed(learned.boundaries, "boundaries"))

    def report(self, summary: ColumnSummary, learned: Learned) -> dict:
        """Mean and deciles of the raw values."""
        return summary.report_numbers()

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Finds the bucket of each number."""
        # As the float32 values that raw numbers are compared to.
        boundaries = np.asarray(needed(learned.boundaries, "boundaries"), np.float32)

        def encode(column: pa.Array) -> Arrays:
            values = pc.fill_null(column, 0).to_numpy(False)
            ids = 1 + np.searchsorted(boundaries, values, side="right").astype(np.int64)
            ids[column.is_null().to_numpy(False)] = 0
            return (pa.array(ids),)

        return encode

    def sample(
        self, random: np.random.Generator, shape: tuple[int, ...], learned: Learned
    ) -> np.ndarray:
        """Numbers around the boundaries."""
        boundaries = needed(learned.boundaries, "boundaries")
        mean, deviation = float(np.mean(boundaries)), float(np.std(boundaries)) + 1.0
        return sample_numbers(random, shape, mean, deviation)

    @model_validator(mode="after")
    def _check_boundaries(self) -> Self:
        if (self.num_buckets is None) == (self.boundaries is None):
            raise ValueError("give either num_buckets or boundaries")
        if self.boundaries is not None:
            pairs = zip(self.boundaries, self.boundaries[1:], strict=False)
            if not self.boundaries or any(a >= b for a, b in pairs):
                raise ValueError(f"boundaries must ascend, got {self.boundaries}")
        return self
