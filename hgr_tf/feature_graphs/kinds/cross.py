"""`hgr_tf.features.kinds.cross` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.feature_graphs.ids import by_hash, one_id
from hgr_tf.feature_graphs.raw_values import as_text
from hgr_tf.features.kinds.cross import SEPARATOR


class CrossGraph(FeatureGraph):
    """Hashes the pair of two raw values per row."""

    def combine(self, *parts: tf.Tensor) -> tf.Tensor:
        """Texts [B] of pairs; "" where either value is missing."""
        missing = tf.reduce_any([self.is_missing(part) for part in parts], axis=0)
        texts = tf.strings.join([as_text(part) for part in parts], SEPARATOR)
        return tf.where(missing, "", texts)

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B]."""
        return (one_id(raw, raw == "", by_hash(self._kind.num_buckets)),)
