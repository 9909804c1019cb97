"""`hgr_tf.features.kinds.hashed` in TensorFlow."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.feature_graphs.ids import by_hash, one_id
from hgr_tf.feature_graphs.raw_values import check_missing_numbers


class HashedGraph(FeatureGraph):
    """Hashes one value per row."""

    def _prepare(self, vocabularies: Path) -> None:
        if self._kind.dtype == "int64":
            check_missing_numbers(self.feature.name, self._missing_values)

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B]."""
        ids_of = by_hash(self._kind.num_buckets)
        return (one_id(raw, self.is_missing(raw), ids_of),)
