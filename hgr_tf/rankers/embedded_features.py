"""The first layers of every ranker here: inputs and their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.rankers.masked_mean import MaskedMean

USER_EMBEDDING = "user_embedding"
"""Name of the layer that embeds the user id."""


@dataclass
class EmbeddedFeatures:
    """Keras tensors of the features of one owner, or of all.

    Attributes:
        inputs: Input of each feature by name.
        vectors: [batch, embedding_dim] of each categorical feature.
        numbers: [batch, 1] of each numeric feature.
    """

    inputs: dict = field(default_factory=dict)
    vectors: list = field(default_factory=list)
    numbers: list = field(default_factory=list)

    def __add__(self, other: EmbeddedFeatures) -> EmbeddedFeatures:
        return EmbeddedFeatures(
            self.inputs | other.inputs,
            self.vectors + other.vectors,
            self.numbers + other.numbers,
        )

    def concatenated(self, name: str):
        """Returns all of them side by side, [batch, width]."""
        parts = self.vectors + self.numbers
        if len(parts) == 1:
            return parts[0]
        return tf.keras.layers.Concatenate(name=name)(parts)


def embed_features(
    encoding: FeatureEncoding,
    embedding_dim: int,
    user_tower: Sequence[int] = (),
) -> EmbeddedFeatures:
    """Makes an input a feature, and embeds the categorical ones.

    A multi-valued feature becomes the mean of its ids' embeddings, 0 left out; so
    does a history, whose ids are embedded by the table of the feature they are of.

    Args:
        encoding: Names, types and numbers of ids.
        embedding_dim: Width of each embedding.
        user_tower: Units of dense ReLU layers that turn all user features into
            one vector, the output of a last layer named "user_tower" of
            `embedding_dim` units. It depends on the user alone, so serving
            many items computes it once. Empty: no tower.

    Raises:
        ValueError: `embedding_dim` is not positive, or the spec has no
            categorical feature of the user id.
    """
    if embedding_dim < 1:
        raise ValueError(f"`embedding_dim` must be at least 1, got {embedding_dim}")
    if encoding.spec.id_feature("user") is None:
        raise ValueError(
            "the spec must have a categorical or hashed user feature of the column "
            f"{encoding.spec.user_id!r}: its embedding is what groups users"
        )
    tables: dict[str, tf.keras.layers.Layer] = {}
    user = _embed(encoding, "user", embedding_dim, tables)
    if user_tower:
        hidden = dense_layers(user.concatenated("user_features"), user_tower, "user")
        tower = tf.keras.layers.Dense(embedding_dim, name="user_tower")(hidden)
        user = EmbeddedFeatures(user.inputs, [tower])
    item = _embed(encoding, "item", embedding_dim, tables)
    return user + item + _embed(encoding, "context", embedding_dim, tables)


def dense_layers(x, units: Sequence[int], name: str, dropout: float = 0.0):
    """Applies dense ReLU layers, each followed by dropout if there is any."""
    for index, width in enumerate(units, start=1):
        layer = tf.keras.layers.Dense(width, "relu", name=f"{name}_dense_{index}")
        x = layer(x)
        if dropout:
            layer = tf.keras.layers.Dropout(dropout, name=f"{name}_dropout_{index}")
            x = layer(x)
    return x


def logits_model(inputs: dict, x, name: str) -> tf.keras.Model:
    """Closes a ranker: one float32 logit of `x`, [batch, 1]."""
    # float32 under mixed precision too: losses and metrics need the range.
    head = tf.keras.layers.Dense(1, name="logits", dtype="float32")
    return tf.keras.Model(inputs, head(x), name=name)


def _embed(encoding, owner, embedding_dim, tables):
    embedded = EmbeddedFeatures()
    for feature in encoding.spec.features(owner):
        transform, name = feature.transform, feature.name
        shape = (transform.max_length,) if transform.is_multivalued else ()
        dtype = "int64" if transform.is_categorical else "float32"
        value = tf.keras.Input(shape, name=name, dtype=dtype)
        embedded.inputs[name] = value
        if not transform.is_categorical:
            column = tf.keras.layers.Reshape((1,), name=f"column_{name}")
            embedded.numbers.append(column(value))
            continue
        vector = _table(encoding, feature, embedding_dim, tables)(value)
        if transform.is_multivalued:
            vector = MaskedMean(name=f"mean_{name}")([vector, value])
        embedded.vectors.append(vector)
    return embedded


def _table(encoding, feature, embedding_dim, tables):
    """The embedding layer of a feature; of a history, the one that it shares."""
    name = getattr(feature.transform, "shares", None) or feature.name
    if name not in tables:
        user_id = encoding.spec.id_feature("user")
        is_user_id = user_id is not None and name == user_id.name
        tables[name] = tf.keras.layers.Embedding(
            encoding.num_ids(name),
            embedding_dim,
            name=USER_EMBEDDING if is_user_id else f"embedding_{name}",
        )
    return tables[name]
