"""The first layers of every ranker here: inputs and their embeddings."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from hgr_tf.feature_graphs.graph import GRAPHS
from hgr_tf.features import Feature, FeatureEncoding
from hgr_tf.features.embedding_options import EmbeddingOptions
from hgr_tf.layers.row_embedding import RowEmbedding

Options = Mapping[str, EmbeddingOptions]

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
    features: Options | None = None,
) -> EmbeddedFeatures:
    """Makes an input per feature, and embeds the categorical ones.

    A multi-valued feature becomes the mean of its ids' embeddings, 0 left out.

    Args:
        encoding: Names, types and numbers of ids.
        embedding_dim: Width of each embedding.
        user_tower: Units of dense ReLU layers that turn all user features into
            one vector, the output of a last layer named "user_tower" of
            `embedding_dim` units. It depends on the user alone, so serving
            many items computes it once. Empty: no tower.
        features: Options of some features by name.

    Raises:
        ValueError: `embedding_dim` is not positive, the spec has no categorical
            feature of the user id, or an option is wrong.
    """
    if embedding_dim < 1:
        raise ValueError(f"`embedding_dim` must be at least 1, got {embedding_dim}")
    if encoding.spec.id_feature("user") is None:
        raise ValueError(
            "the spec must have a categorical or hashed user feature of the column "
            f"{encoding.spec.user_id!r}: its embedding is what groups users"
        )
    options = _checked(features or {}, encoding)
    tables: dict[str, tf.keras.layers.Layer] = {}
    user = _embed(encoding, "user", embedding_dim, options, tables)
    if user_tower:
        hidden = dense_layers(user.concatenated("user_features"), user_tower, "user")
        tower = tf.keras.layers.Dense(embedding_dim, name="user_tower")(hidden)
        user = EmbeddedFeatures(user.inputs, [tower])
    item = _embed(encoding, "item", embedding_dim, options, tables)
    return user + item + _embed(encoding, "context", embedding_dim, options, tables)


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


def _embed(encoding, owner, embedding_dim, options, tables):
    embedded = EmbeddedFeatures()
    for feature in encoding.spec.features(owner):
        kind, chosen = feature.transform, options.get(feature.name, EmbeddingOptions())
        inputs = {
            name: tf.keras.Input(form.shape, name=name, dtype=form.dtype)
            for name, form in feature.inputs.items()
        }
        embedded.inputs.update(inputs)
        embed = functools.partial(
            GRAPHS[kind.type].embed, feature.name, kind, list(inputs.values())
        )
        if not kind.is_categorical:
            embedded.numbers.append(embed(None))
            continue
        shared = getattr(kind, "shares", None) or feature.name
        if shared not in tables:
            of = encoding.spec.feature(shared)
            own = options.get(shared, EmbeddingOptions())
            tables[shared] = _table(of, encoding, embedding_dim, own)
        vector = embed(tables[shared], chosen.pooling)
        if chosen.dropout:
            vector = tf.keras.layers.Dropout(
                chosen.dropout, noise_shape=(None, 1), name=f"dropout_{feature.name}"
            )(vector)
        embedded.vectors.append(vector)
    return embedded


def _table(feature: Feature, encoding: FeatureEncoding, dim: int, chosen):
    is_user_id = feature == encoding.spec.id_feature("user")
    name = USER_EMBEDDING if is_user_id else f"embedding_{feature.name}"
    ids, dim = encoding.num_ids(feature.name), chosen.dim or dim
    if chosen.l2:
        return RowEmbedding(ids, dim, chosen.l2, name=name)
    return tf.keras.layers.Embedding(ids, dim, name=name)


def _checked(features: Options, encoding: FeatureEncoding) -> Options:
    known = {f.name: f.transform for f in encoding.spec.features()}
    checked = {}
    for name, given in features.items():
        if name not in known:
            raise ValueError(
                f"`features` must name features of the spec, {sorted(known)}; "
                f"got {name!r}"
            )
        if not known[name].is_categorical:
            raise ValueError(f"`features`: {name!r} has no ids to embed")
        checked[name] = EmbeddingOptions.model_validate(given)
    return checked
