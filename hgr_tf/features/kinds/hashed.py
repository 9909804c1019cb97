"""One value hashed to a fixed number of ids, without a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.ids import hashed_ids
from hgr_tf.features.kind import Arrays, Form, Kind, Learned


class Hashed(Kind):
    """One value hashed to `num_buckets` ids, without a vocabulary.

    Ids: 0 missing, then 1 + FarmHash64(text of the value) mod num_buckets.
    """

    type: Literal["hashed"] = "hashed"
    dtype: Literal["string", "int64"] = "string"
    num_buckets: int = Field(ge=1)

    @property
    def forms(self) -> tuple[Form, ...]:
        """An id."""
        return (Form("", "int64"),)

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Counts rows alone: nothing is learned from the values."""
        return ColumnSummary.of(column, hits)

    def num_ids(self, learned: Learned) -> int:
        """Missing, and the buckets."""
        return 1 + self.num_buckets

    @property
    def id_space(self) -> tuple:
        """Ids mean the same with as many buckets: the hash is of the text."""
        return ("hashed", self.num_buckets)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Hashes values."""
        return lambda column: (pa.array(hashed_ids(column, self.num_buckets)),)
