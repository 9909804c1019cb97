"""Shared bottom: the heads share all layers but a tower of their own."""

from collections.abc import Collection, Sequence

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.rankers.embedded_features import Options, dense_layers, embed_features
from hgr_tf.rankers.heads import head_logits, labels_of
from hgr_tf.rankers.side_towers import debiased


@debiased
def shared_bottom_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    without: Collection[str] = (),
    tower_units: Sequence[int] = (32,),
) -> tf.keras.Model:
    """Builds a ranker with a head for each label, all on the same hidden layers.

    Args:
        encoding: Encoding of the prepared data; its spec has `labels`.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of the dense layers that the heads share.
        dropout: Share of hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.
        without: Features, histories and counters that the ranker does not see.
        tower_units: Units of each head's own dense layers.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        {label: logits [batch, 1]}, its user id embedded by the layer
        "user_embedding".

    Raises:
        ValueError: The spec has no `labels` or no user id feature, or a size is not
            positive.

    Example:
        >>> data = PreparedData.load("prepared/clicks_and_purchases")
        >>> ranker = shared_bottom_ranker(data.encoding)
        >>> list(ranker.output)
        ['click', 'purchase']

    References:
        R. Caruana, "Multitask Learning", Machine Learning 28 (1997).
    """
    labels = labels_of(encoding)
    embedded = embed_features(
        encoding, embedding_dim, user_tower, features, history, without
    )
    x = embedded.concatenated("features")
    x = dense_layers(x, hidden_units, "bottom", dropout)
    logits = head_logits(dict.fromkeys(labels, x), tower_units, dropout)
    return tf.keras.Model(embedded.inputs, logits, name="shared_bottom")
