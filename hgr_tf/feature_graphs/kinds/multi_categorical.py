"""`hgr_tf.features.kinds.multi_categorical` in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.feature_graphs.ids import padded, present_tokens
from hgr_tf.feature_graphs.kinds.categorical import CategoricalGraph


class MultiCategoricalGraph(CategoricalGraph):
    """Looks up the values of lists."""

    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Ids [B, max_length], padded with 0."""
        kind = self._kind
        tokens = present_tokens(raw, kind.delimiter, self.is_missing, kind.dtype)
        ids = tokens.with_flat_values(self.ids_of(tokens.flat_values))
        return (padded(ids, kind.max_length),)
