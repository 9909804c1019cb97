"""A multi-layer perceptron over all embedded features."""

from collections.abc import Sequence

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.rankers.embedded_features import (
    Options,
    dense_layers,
    embed_features,
    logits_model,
)
from hgr_tf.rankers.side_towers import debiased


@debiased
def mlp_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
) -> tf.keras.Model:
    """Builds a ranker: dense ReLU layers over the concatenated embeddings.

    Args:
        encoding: Encoding of the prepared data.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of the dense layers.
        dropout: Share of hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        logits [batch, 1], its user id embedded by the layer "user_embedding".

    Raises:
        ValueError: The spec has no user id feature, or a size is not positive.

    Example:
        >>> data = PreparedData.load("prepared/kuairand_pure")
        >>> ranker = mlp_ranker(data.encoding, hidden_units=(64, 32))
    """
    embedded = embed_features(encoding, embedding_dim, user_tower, features, history)
    x = embedded.concatenated("features")
    x = dense_layers(x, hidden_units, "deep", dropout)
    return logits_model(embedded.inputs, x, name="mlp")
