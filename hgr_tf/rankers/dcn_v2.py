"""DCN-v2: learned feature crosses beside a deep network."""

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
from hgr_tf.rankers.interactions import cross
from hgr_tf.rankers.side_towers import debiased


@debiased
def dcn_v2_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    cross_layers: int = 2,
    projection_dim: int | None = None,
) -> tf.keras.Model:
    """Builds a DCN-v2 ranker in its parallel form.

    x_{l+1} = x_0 * (W_l x_l + b_l) + x_l over the concatenated embeddings x_0,
    beside dense ReLU layers; one logit of both outputs side by side.

    Args:
        encoding: Encoding of the prepared data.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of the dense layers.
        dropout: Share of hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.
        cross_layers: Number of cross layers.
        projection_dim: Rank of the cross matrices; None for full ones.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        logits [batch, 1], its user id embedded by the layer "user_embedding".

    Raises:
        ValueError: The spec has no user id feature, or a size is not positive.

    References:
        R. Wang et al., "DCN V2: Improved Deep & Cross Network and Practical
        Lessons for Web-scale Learning to Rank Systems", WWW 2021,
        arXiv:2008.13535.
    """
    if cross_layers < 1:
        raise ValueError(f"`cross_layers` must be at least 1, got {cross_layers}")
    embedded = embed_features(encoding, embedding_dim, user_tower, features, history)
    base = crossed = embedded.concatenated("features")
    for index in range(1, cross_layers + 1):
        crossed = cross(base, crossed, projection_dim, name=f"cross_{index}")
    deep = dense_layers(base, hidden_units, "deep", dropout)
    x = tf.keras.layers.Concatenate(name="crossed_and_deep")([crossed, deep])
    return logits_model(embedded.inputs, x, name="dcn_v2")
