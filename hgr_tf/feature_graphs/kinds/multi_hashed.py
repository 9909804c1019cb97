"""`hgr_tf.features.kinds.multi_hashed` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.ids import by_hash, padded, present_tokens
from hgr_tf.feature_graphs.kinds.hashed import HashedGraph


class MultiHashedGraph(HashedGraph):
    """Hashes the values of lists."""

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B, max_length], padded with 0."""
        kind = self._kind
        tokens = present_tokens(raw, kind.delimiter, self.is_missing, kind.dtype)
        ids_of = by_hash(kind.num_buckets)
        ids = tokens.with_flat_values(ids_of(tokens.flat_values))
        return (padded(ids, kind.max_length),)
