"""A list of values in one column, each hashed to a fixed number of ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import pyarrow as pa

from hgr_tf.features.hashed_kind import HashedKind
from hgr_tf.features.ids import as_lists, hashed_ids
from hgr_tf.features.kind import Arrays, Form, Learned
from hgr_tf.features.text_list import TextList


class MultiHashed(TextList, HashedKind):
    """A list of values in one column, each hashed to `num_buckets` ids.

    Ids as of `Hashed`; lists as of `TextList`.

    Attributes:
        dtype: Type of the raw values, "string" or "int64".
        num_buckets: Number of ids beside 0.
        delimiter: Separates the values of a text column; columns of lists
            are taken as they are.
        max_length: Values past this many are dropped from an example.
    """

    FREE: ClassVar[frozenset[str]] = TextList.FREE

    type: Literal["multi_hashed"] = "multi_hashed"

    @property
    def forms(self) -> tuple[Form, ...]:
        """Ids, padded with 0."""
        return (Form("", "int64", self.max_length, padded=True),)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Hashes the values of each list."""
        return lambda lists: (
            as_lists(
                hashed_ids(lists.flatten(), self.num_buckets), lists, self.max_length
            ),
        )
