"""DLRM: dot products of every pair of embeddings, then a top network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.rankers.embedded_features import (
    Options,
    dense_layers,
    embed_features,
    logits_model,
)
from hgr_tf.rankers.interactions import pairwise_dots
from hgr_tf.rankers.side_towers import debiased

if TYPE_CHECKING:
    from keras import KerasTensor


@debiased
def dlrm_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    bottom_units: Sequence[int] = (32,),
) -> tf.keras.Model:
    """Builds a DLRM ranker.

    A bottom network turns the numeric features into one more vector of
    `embedding_dim`; the top network sees that vector, the dot products of all
    pairs, and, unlike in the paper, the embeddings themselves.

    Args:
        encoding: Encoding of the prepared data.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of the top network.
        dropout: Share of the top network's hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.
        bottom_units: Units of the bottom network before its last layer.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        logits [batch, 1], its user id embedded by the layer "user_embedding".

    Raises:
        ValueError: The spec has no user id feature, or a size is not positive.

    References:
        M. Naumov et al., "Deep Learning Recommendation Model for
        Personalization and Recommendation Systems", 2019, arXiv:1906.00091.
    """
    embedded = embed_features(encoding, embedding_dim, user_tower, features, history)
    vectors = [
        _of_width(embedding_dim, vector, f"width_{index}")
        for index, vector in enumerate(embedded.vectors)
    ]
    if embedded.numbers:
        x = embedded.numbers[0]
        if len(embedded.numbers) > 1:
            x = tf.keras.layers.Concatenate(name="numbers")(embedded.numbers)
        x = dense_layers(x, bottom_units, "bottom")
        last = tf.keras.layers.Dense(embedding_dim, "relu", name="bottom")
        vectors.append(last(x))
    dots = pairwise_dots("dots")(vectors)
    x = tf.keras.layers.Concatenate(name="vectors_and_dots")([*vectors, dots])
    x = dense_layers(x, hidden_units, "top", dropout)
    return logits_model(embedded.inputs, x, name="dlrm")


def _of_width(dim: int, vector: KerasTensor, name: str) -> KerasTensor:
    """A vector of another width is mapped linearly: dot products need equal ones."""
    if vector.shape[-1] == dim:
        return vector
    return tf.keras.layers.Dense(dim, use_bias=False, name=name)(vector)
