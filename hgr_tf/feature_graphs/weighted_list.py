"""`hgr_tf.features.weighted_list` in TensorFlow."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from hgr_tf.feature_graphs.graph import FeatureGraph
from hgr_tf.feature_graphs.ids import padded, present_tokens
from hgr_tf.features.embedding_options import Pooling
from hgr_tf.features.kind import Kind
from hgr_tf.features.weighted_list import NUMBER
from hgr_tf.layers.weighted_pooling import WeightedPooling


class WeightedListGraph(FeatureGraph):
    """Splits the values of lists from their weights."""

    @abstractmethod
    def ids_of(self, text: tf.Tensor) -> tf.Tensor:
        """Ids of texts that are not missing."""

    def encode(self, raw: tf.Tensor | tf.RaggedTensor) -> tuple[tf.Tensor, ...]:
        """Ids [B, max_length] and weights [B, max_length] float32, padded with 0."""
        kind = self._kind
        tokens = present_tokens(raw, kind.delimiter, self.is_missing)
        flat = tokens.flat_values
        values = tf.strings.regex_replace(flat, kind.pattern, r"\1")
        ids = tf.where(values == "", tf.constant(0, tf.int64), self.ids_of(values))
        weighted = tf.strings.regex_full_match(flat, kind.pattern)
        texts = tf.strings.regex_replace(flat, kind.pattern, r"\2")
        texts = tf.where(weighted, texts, "1")
        # Training rejects rows with a weight that is no finite number.
        is_number = tf.strings.regex_full_match(texts, NUMBER)
        weights = tf.strings.to_number(tf.where(is_number, texts, "0"))
        weights = tf.where(tf.math.is_finite(weights), weights, 0.0)
        encoded = (tokens.with_flat_values(each) for each in (ids, weights))
        return tuple(padded(each, kind.max_length) for each in encoded)

    @classmethod
    def embed(
        cls,
        name: str,
        kind: Kind,
        inputs: list,
        table: Callable | None,
        pooling: Pooling = "mean",
        target: Any = None,
    ) -> Any:
        """The weighted mean or sum of the embeddings [B, dim]; see `FeatureGraph`.

        Raises:
            ValueError: There is no table, or the pooling is another one.
        """
        if table is None:
            raise ValueError(f"{name!r}: `table` must be given to embed ids, got None")
        if pooling not in ("mean", "sum"):
            raise ValueError(
                f"{name!r}: `pooling` of a weighted list must be 'mean' or 'sum', "
                f"got {pooling!r}"
            )
        ids, weights = inputs
        layer = WeightedPooling(pooling, name=f"weighted_{pooling}_{name}")
        return layer([table(ids), ids, weights])
