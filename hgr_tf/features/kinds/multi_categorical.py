"""A list of values in one column, each looked up in one vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import pyarrow as pa

from hgr_tf.features.ids import as_lists
from hgr_tf.features.kind import Arrays, Form, Learned
from hgr_tf.features.text_list import TextList
from hgr_tf.features.vocabulary_kind import VocabularyKind


class MultiCategorical(TextList, VocabularyKind):
    """A list of values in one column, each looked up in one vocabulary.

    Ids as of `Categorical`; lists as of `TextList`.

    Attributes:
        dtype: Type of the raw values, "string" or "int64".
        min_count: Values seen less often in training are unknown.
        max_size: Keep at most this many values, the most frequent ones.
        oov_buckets: Number of ids shared by the unknown values.
        shares: Feature whose ids and embedding table it has.
        delimiter: Separates the values of a text column; columns of lists
            are taken as they are.
        max_length: Values past this many are dropped from an example.
    """

    FREE: ClassVar[frozenset[str]] = TextList.FREE | VocabularyKind.FREE

    type: Literal["multi_categorical"] = "multi_categorical"

    @property
    def forms(self) -> tuple[Form, ...]:
        """Ids, padded with 0."""
        return (Form("", "int64", self.max_length, padded=True),)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Looks the values of each list up."""
        lookup = self.lookup(learned)
        return lambda lists: (
            as_lists(lookup(lists.flatten()), lists, self.max_length),
        )
