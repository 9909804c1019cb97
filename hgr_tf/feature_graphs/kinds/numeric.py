"""`hgr_tf.features.kinds.numeric` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.features.kind import needed


class NumericGraph(FeatureGraph):
    """Transforms one number per row."""

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Numbers [B] float32."""
        # In float64, rounded once, so that the pipeline's numpy agrees.
        kind = self._kind
        default = tf.constant(kind.default, tf.float64)
        x = tf.where(self.is_missing(raw), default, tf.cast(raw, tf.float64))
        if kind.log1p:
            x = tf.sign(x) * tf.math.log1p(tf.abs(x))
        if kind.standardize:
            mean, deviation = needed(self._learned.moments, "mean and deviation")
            x = (x - mean) / deviation
        return (tf.cast(x, tf.float32),)
