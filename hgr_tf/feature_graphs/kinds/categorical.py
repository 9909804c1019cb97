"""`hgr_tf.features.kinds.categorical` in TensorFlow."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.feature_graphs.ids import by_vocabulary, one_id, vocabulary_table


class CategoricalGraph(FeatureGraph):
    """Looks up one value per row."""

    def _prepare(self, vocabularies: Path) -> None:
        self._table = vocabulary_table(
            self._encoding.spec.id_source(self.feature.name),
            self._learned.vocabulary,
            vocabularies,
            self._kind.first_vocabulary_id,
        )

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B]."""
        return (one_id(raw, self.is_missing(raw), self.ids_of),)

    def ids_of(self, text: tf.Tensor) -> tf.Tensor:
        """Ids of texts that are not missing."""
        return by_vocabulary(self._table, self._kind.oov_buckets)(text)
