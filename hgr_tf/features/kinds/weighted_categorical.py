"""A list of values with weights in one column, each looked up in one vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from hgr_tf.features.kind import Learned
from hgr_tf.features.vocabulary_kind import VocabularyKind
from hgr_tf.features.weighted_list import WeightedList


class WeightedCategorical(WeightedList, VocabularyKind):
    """A list of values with weights, each value looked up in one vocabulary.

    Ids as of `Categorical`; lists as of `WeightedList`.

    Attributes:
        min_count: Values seen less often in training are unknown.
        max_size: Keep at most this many values, the most frequent ones.
        oov_buckets: Number of ids shared by the unknown values.
        shares: Feature whose ids and embedding table it has.
        delimiter: Separates the values of a text column; columns of lists
            are taken as they are.
        max_length: Values past this many are dropped from an example.
        weight_delimiter: Separates a value from its weight.
    """

    FREE: ClassVar[frozenset[str]] = WeightedList.FREE | VocabularyKind.FREE

    type: Literal["weighted_categorical"] = "weighted_categorical"
    dtype: Literal["string"] = "string"

    def ids_of(self, learned: Learned) -> Callable[[pa.Array], np.ndarray]:
        """Looks values up."""
        return self.lookup(learned)
