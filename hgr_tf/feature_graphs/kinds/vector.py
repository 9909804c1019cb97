"""`hgr_tf.features.kinds.vector` in TensorFlow."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.feature_graphs.raw_values import check_missing_numbers


class VectorGraph(FeatureGraph):
    """Takes the numbers as they are; a row with any missing one becomes zeros."""

    def _prepare(self, vocabularies: Path) -> None:
        check_missing_numbers(self.feature.name, self._missing_values)

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Numbers [B, size] float32."""
        missing = tf.reduce_any(self.is_missing(raw), axis=-1, keepdims=True)
        return (tf.where(missing, tf.zeros_like(raw), raw),)
