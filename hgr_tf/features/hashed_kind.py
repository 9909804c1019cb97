"""HashedKind: what the kinds share whose ids are hashes of values."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.kind import Kind, Learned


class HashedKind(Kind):
    """Values hashed to `num_buckets` ids, without a vocabulary.

    Ids: 0 missing, then 1 + FarmHash64(text of the value) mod num_buckets.

    Attributes:
        dtype: Type of the raw values, "string" or "int64".
        num_buckets: Number of ids beside 0.
    """

    type: str
    dtype: Literal["string", "int64"] = "string"
    num_buckets: int = Field(ge=1)

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Counts rows alone: nothing is learned from the values."""
        return ColumnSummary.of(column, hits)

    def num_ids(self, learned: Learned) -> int:
        """Missing, and the buckets."""
        return 1 + self.num_buckets

    @property
    def id_space(self) -> tuple[str, int]:
        """Ids mean the same with as many buckets: the hash is of the text."""
        return ("hashed", self.num_buckets)
