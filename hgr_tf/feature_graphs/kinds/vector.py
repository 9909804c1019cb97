"""`hgr_tf.features.kinds.vector` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph


class VectorGraph(FeatureGraph):
    """Takes the numbers as they are; a row with any missing one becomes zeros."""

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Numbers [B, size] float32."""
        missing = tf.reduce_any(self.is_missing(raw), axis=-1, keepdims=True)
        return (tf.where(missing, tf.zeros_like(raw), raw),)
