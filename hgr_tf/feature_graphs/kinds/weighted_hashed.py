"""`hgr_tf.features.kinds.weighted_hashed` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.ids import by_hash
from hgr_tf.feature_graphs.weighted_list import WeightedListGraph


class WeightedHashedGraph(WeightedListGraph):
    """Hashes the values of lists, and takes their weights."""

    def ids_of(self, text: tf.Tensor) -> tf.Tensor:
        """Ids of texts."""
        return by_hash(self._kind.num_buckets)(text)
