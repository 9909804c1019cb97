"""One value looked up in a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pyarrow as pa

from hgr_tf.features.kind import Arrays, Form, Learned
from hgr_tf.features.vocabulary_kind import VocabularyKind


class Categorical(VocabularyKind):
    """One value looked up in a vocabulary.

    Ids: 0 missing, 1..oov_buckets unknown values by hash, then the vocabulary
    by falling frequency in the training data.

    Attributes:
        dtype: Type of the raw value, "string" or "int64".
        min_count: Values seen less often in training are unknown.
        max_size: Keep at most this many values, the most frequent ones.
        oov_buckets: Number of ids shared by the unknown values.
        shares: Feature whose ids and embedding table it has.
    """

    type: Literal["categorical"] = "categorical"

    @property
    def forms(self) -> tuple[Form, ...]:
        """An id."""
        return (Form("", "int64"),)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Looks values up."""
        lookup = self.lookup(learned)
        return lambda column: (pa.array(lookup(column)),)
