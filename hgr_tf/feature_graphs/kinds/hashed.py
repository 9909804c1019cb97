"""`hgr_tf.features.kinds.hashed` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.feature_graphs.ids import by_hash, one_id


class HashedGraph(FeatureGraph):
    """Hashes one value per row."""

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B]."""
        ids_of = by_hash(self._kind.num_buckets)
        return (one_id(raw, self.is_missing(raw), ids_of),)
