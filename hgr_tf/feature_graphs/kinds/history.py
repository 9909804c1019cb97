"""`hgr_tf.features.history_list` in TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from hgr_tf.feature_graphs.graph import GRAPHS, FeatureGraph
from hgr_tf.features.kind import MISSING


class HistoryGraph(FeatureGraph):
    """Encodes the newest events by the graph of the feature that is listed."""

    def _prepare(self, vocabularies: Path) -> None:
        kind = self._kind
        listed = self.feature.model_copy(
            update={"name": kind.shares, "transform": kind.of, "is_past": False}
        )
        self._listed = GRAPHS[kind.of.type](listed, self._encoding, vocabularies)

    def example_schema(self) -> Any:
        """Raw values of any number of events; missing ones keep their place."""
        return tf.io.RaggedFeature(self._kind.raw_dtype, row_splits_dtype=tf.int64)

    def encode(self, raw: tf.Tensor | tf.RaggedTensor) -> tuple[tf.Tensor, ...]:
        """Ids [B, length * width] of raw values [B, length], or of lists."""
        kind = self._kind
        length, newest_first = kind.length, kind.newest_first
        if isinstance(raw, tf.RaggedTensor):
            raw = _dense(raw, MISSING[kind.raw_dtype], newest_first)
        raw = raw[:, :length] if newest_first else raw[:, -length:]
        batch, events = tf.shape(raw)[0], tf.shape(raw)[1]
        (ids,) = self._listed.encode(tf.reshape(raw, [-1]))
        ids = tf.reshape(ids, [batch, events * kind.width])
        lacking = (length - events) * kind.width
        padding = [0, lacking] if newest_first else [lacking, 0]
        ids = tf.pad(ids, [[0, 0], padding])
        return (tf.ensure_shape(ids, [None, kind.max_length]),)


def _dense(lists: tf.RaggedTensor, missing: Any, newest_first: bool) -> tf.Tensor:
    """Lists of events side by side, padding beside the oldest."""
    if newest_first:
        return lists.to_tensor(missing)
    return tf.reverse(tf.reverse(lists, [1]).to_tensor(missing), [1])
