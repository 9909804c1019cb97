"""RawFeatures: the pipeline's encoding of raw values, as TensorFlow ops."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import tensorflow as tf

from hgr_tf.feature_graphs.graph import graph_of
from hgr_tf.features import FeatureEncoding


class RawFeatures(tf.Module):
    """Encodes raw values in the graph as the pipeline encoded training data.

    Raw tensors are strings, int64s or float32s as the spec's kinds say; lists of
    values are text that holds the spec's delimiter. "No value" is "",
    `hgr_tf.feature_graphs.raw_values.MISSING_INT` or NaN; infinities, which training
    never sees, count as that too. In a tf.Example a value is left out instead, and
    lists are lists.

    Args:
        encoding: Spec, vocabularies, boundaries and moments.
        vocabularies: Folder of <feature>.txt files, a value per line; they
            become assets of the SavedModel.
        names: Features to encode, those that they are made of among them; all of the
            spec by default.

    Raises:
        ValueError: A vocabulary has a value that its file cannot hold, or a
            missing value is a number only as it is written in text.
    """

    def __init__(
        self,
        encoding: FeatureEncoding,
        vocabularies: str | Path,
        names: Collection[str] | None = None,
    ):
        super().__init__(name="raw_features")
        self.features = tuple(
            f for f in encoding.spec.features() if names is None or f.name in names
        )
        self._graphs = {
            f.name: graph_of(f, encoding, Path(vocabularies)) for f in self.features
        }

    def names(self, *owners: str) -> list[str]:
        """Names of the raw values of these owners ("user", "item", "context")."""
        raw = self.tensor_specs()
        return [f.name for f in self.features if f.owner in owners and f.name in raw]

    def reads(self, owner: str) -> set[str]:
        """Names of the raw values that an owner's features are encoded from."""
        return {n for f in self.features if f.owner == owner for n in f.reads}

    def inputs(self, *owners: str) -> list[str]:
        """Names of the ranker's inputs that these owners' features become."""
        return [name for f in self.features if f.owner in owners for name in f.inputs]

    def tensor_specs(self, shape: tuple = (None,)) -> dict[str, tf.TensorSpec]:
        """Raw tensors by feature name, where `shape` is that of the batch."""
        return {
            name: graph.raw_spec(shape)
            for name, graph in self._graphs.items()
            if not graph.feature.transform.parts
        }

    def __call__(
        self, raw: Mapping[str, tf.Tensor], owners: Collection[str] | None = None
    ) -> dict[str, tf.Tensor]:
        """Encodes raw tensors [B, ...] by feature name.

        Args:
            raw: Raw values of at least what the features to encode read.
            owners: Whose features to encode; all by default.

        Returns:
            What the ranker takes, by the name of its input: ids [B] or
            [B, max_length] int64 (0 is missing and padding), numbers float32.
        """
        encoded: dict[str, tf.Tensor] = {}
        for feature in self.features:
            if owners is None or feature.owner in owners:
                graph = self._graphs[feature.name]
                encoded |= graph(*(raw[name] for name in feature.reads))
        return encoded

    def parse(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encodes serialized tf.Examples [B] of raw values."""
        schema = {n: self._graphs[n].example_schema() for n in self.tensor_specs()}
        return self(tf.io.parse_example(examples, schema))
