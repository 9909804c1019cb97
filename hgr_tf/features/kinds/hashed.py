"""One value hashed to a fixed number of ids, without a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pyarrow as pa

from hgr_tf.features.hashed_kind import HashedKind
from hgr_tf.features.ids import hashed_ids
from hgr_tf.features.kind import Arrays, Form, Learned


class Hashed(HashedKind):
    """One value hashed to `num_buckets` ids, without a vocabulary.

    Ids: 0 missing, then 1 + FarmHash64(text of the value) mod num_buckets.
    """

    type: Literal["hashed"] = "hashed"

    @property
    def forms(self) -> tuple[Form, ...]:
        """An id."""
        return (Form("", "int64"),)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Hashes values."""
        return lambda column: (pa.array(hashed_ids(column, self.num_buckets)),)
