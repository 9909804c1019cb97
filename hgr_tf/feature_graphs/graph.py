"""FeatureGraph: what TensorFlow does with a kind of feature.

The TensorFlow half of `hgr_tf.features.kind.Kind`. The kinds are files of
`hgr_tf/feature_graphs/kinds/`, each named as its other half in
`hgr_tf/features/kinds/`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from hgr_tf.feature_graphs.raw_values import is_missing
from hgr_tf.features import Feature, FeatureEncoding
from hgr_tf.features.embedding_options import Pooling
from hgr_tf.features.kind import MISSING, Kind
from hgr_tf.layers.masked_pooling import MaskedPooling
from hgr_tf.layers.target_attention import TargetAttention
from hgr_tf.registry import Registry

GRAPHS = Registry("hgr_tf.feature_graphs.kinds")
"""The TensorFlow halves by the `type` of their kind."""


class FeatureGraph(tf.Module):
    """Encodes one feature's raw values in a graph as the pipeline encoded columns.

    Args:
        feature: The feature.
        encoding: What was learned of it.
        vocabularies: Folder of <feature>.txt files, a value per line; they become
            assets of a SavedModel.

    Raises:
        ValueError: What was learned cannot be used in a graph.
    """

    def __init__(self, feature: Feature, encoding: FeatureEncoding, vocabularies: Path):
        super().__init__(name=f"encode_{feature.name}")
        self.feature = feature
        self._kind: Any = feature.transform
        self._encoding = encoding
        self._missing_values = encoding.spec.missing_values
        self._learned = encoding.learned(feature.name)
        self._prepare(vocabularies)

    def _prepare(self, vocabularies: Path) -> None:
        """Makes what the encoding needs, such as a lookup table."""

    def raw_spec(self, shape: tuple) -> tf.TensorSpec:
        """The raw tensor, where `shape` is that of the batch."""
        kind = self.feature.transform
        return tf.TensorSpec(
            (*shape, *kind.raw_shape), kind.raw_dtype, name=self.feature.name
        )

    def example_schema(self) -> Any:
        """How the raw value is parsed from a tf.Example, in which it may be absent."""
        kind = self.feature.transform
        dtype = tf.as_dtype(kind.dtype)
        if kind.is_multivalued:
            return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
        size = kind.raw_shape[0] if kind.raw_shape else 1
        default = [MISSING[kind.dtype]] * size
        return tf.io.FixedLenFeature(
            kind.raw_shape, dtype, default if kind.raw_shape else default[0]
        )

    def __call__(self, *raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encodes raw values [B, ...], or ragged ones parsed from tf.Examples.

        Args:
            *raw: Those of each feature that `Feature.reads` names.

        Returns:
            Each input of the ranker by name: [B] or [B, size], of the dtypes that
            the kind's forms say.
        """
        encoded = self.encode(self.combine(*raw))
        return dict(zip(self.feature.inputs, encoded, strict=True))

    def combine(self, *parts: tf.Tensor) -> tf.Tensor:
        """The raw values to encode; of a kind with parts, made of those."""
        (raw,) = parts
        return raw

    @abstractmethod
    def encode(self, raw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Encodes raw values; a tensor for each form of the kind."""

    def is_missing(self, raw: tf.Tensor) -> tf.Tensor:
        """Where raw values mean "missing"."""
        return is_missing(raw, self._missing_values)

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
        """Turns a feature's inputs in a Keras model into one vector [B, width].

        Args:
            name: Name of the feature, for the names of layers.
            kind: Kind of the feature.
            inputs: Keras tensors, one for each form of the kind.
            table: Embeds ids as `hgr_tf.layers.Embedding` does; None for a kind without
                ids.
            pooling: How a list's embeddings become one.
            target: Vector [B, dim] that "attention" weights them by.

        Raises:
            ValueError: There is no table, and the inputs are ids.
        """
        value, form = inputs[0], kind.forms[0]
        if form.dtype == "float32":
            if form.size:
                return value
            return tf.keras.layers.Reshape((1,), name=f"column_{name}")(value)
        if table is None:
            raise ValueError(f"{name!r}: `table` must be given to embed ids, got None")
        if not form.size:
            return table(value)
        if pooling == "mean":
            return table(value, pooling="mean")
        if pooling == "attention":
            attention = TargetAttention(name=f"attention_{name}")
            return attention(target, table(value), value)
        return MaskedPooling(pooling, name=f"{pooling}_{name}")([table(value), value])


def graph_of(
    feature: Feature, encoding: FeatureEncoding, vocabularies: Path
) -> FeatureGraph:
    """The graph of a feature; arguments as of `FeatureGraph`."""
    return GRAPHS[feature.transform.type](feature, encoding, vocabularies)
