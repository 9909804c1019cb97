"""A list of values with weights in one column, each hashed to a fixed number of ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from hgr_tf.features.hashed_kind import HashedKind
from hgr_tf.features.ids import hashed_ids
from hgr_tf.features.kind import Learned
from hgr_tf.features.weighted_list import WeightedList


class WeightedHashed(WeightedList, HashedKind):
    """A list of values with weights, each value hashed to `num_buckets` ids.

    Ids as of `Hashed`; lists as of `WeightedList`.

    Attributes:
        num_buckets: Number of ids beside 0.
        delimiter: Separates the values of a text column; columns of lists
            are taken as they are.
        max_length: Values past this many are dropped from an example.
        weight_delimiter: Separates a value from its weight.
    """

    FREE: ClassVar[frozenset[str]] = WeightedList.FREE

    type: Literal["weighted_hashed"] = "weighted_hashed"
    dtype: Literal["string"] = "string"

    def ids_of(self, learned: Learned) -> Callable[[pa.Array], np.ndarray]:
        """Hashes values."""
        return lambda values: hashed_ids(values, self.num_buckets)
