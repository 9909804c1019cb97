"""A pair of two features' values hashed to a fixed number of ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.hashed_kind import HashedKind
from hgr_tf.features.ids import hashed_ids
from hgr_tf.features.kind import Arrays, Form, Learned

SEPARATOR = "\x1f"
"""Lies between the texts of a pair."""


class Cross(HashedKind):
    """A pair of two features' raw values, hashed to `num_buckets` ids.

    Ids: 0 where either value is missing, else 1 + FarmHash64(first U+001F second) mod
    num_buckets, of their texts. No column holds it, and no request.

    Attributes:
        of: The two features, each of one text or integer per row.
        num_buckets: Number of ids beside 0.
    """

    type: Literal["cross"] = "cross"
    column: None = None
    dtype: Literal["string"] = "string"
    of: tuple[str, str]

    @property
    def parts(self) -> tuple[str, ...]:
        """The two features."""
        return self.of

    @property
    def forms(self) -> tuple[Form, ...]:
        """An id."""
        return (Form("", "int64"),)

    @property
    def id_space(self) -> tuple:
        """Ids mean the same for the same pair with as many buckets."""
        return ("cross", self.of, self.num_buckets)

    def combine(self, values: Sequence[pa.Array]) -> pa.Array:
        """Texts of pairs; null where either value is missing."""
        texts = [column.cast(pa.string()) for column in values]
        return pc.binary_join_element_wise(*texts, SEPARATOR)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Hashes the texts of pairs."""
        return lambda column: (pa.array(hashed_ids(column, self.num_buckets)),)
