"""`hgr_tf.features.kinds.bucketized` in TensorFlow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph


class BucketizedGraph(FeatureGraph):
    """Finds the bucket of one number per row."""

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B]."""
        boundaries = np.asarray(self._learned.boundaries, np.float32).tolist()
        buckets = tf.raw_ops.Bucketize(input=raw, boundaries=boundaries)
        ids = tf.cast(buckets, tf.int64) + 1
        return (tf.where(self.is_missing(raw), tf.constant(0, tf.int64), ids),)
