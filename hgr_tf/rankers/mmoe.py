"""MMoE: the heads share experts, which each mixes by a gate of its own."""

from collections.abc import Sequence

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.layers import MultiGateMixtureOfExperts
from hgr_tf.rankers.embedded_features import Options, embed_features
from hgr_tf.rankers.heads import head_logits, labels_of
from hgr_tf.rankers.side_towers import debiased


@debiased
def mmoe_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    num_experts: int = 4,
    tower_units: Sequence[int] = (32,),
) -> tf.keras.Model:
    """Builds a multi-gate mixture of experts with a head for each label.

    The layer is `hgr_tf.layers.MultiGateMixtureOfExperts`.

    Args:
        encoding: Encoding of the prepared data; its spec has `labels`.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of each expert's dense layers.
        dropout: Share of the towers' hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.
        num_experts: Number of experts.
        tower_units: Units of each head's own dense layers.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        {label: logits [batch, 1]}, its user id embedded by the layer
        "user_embedding".

    Raises:
        ValueError: The spec has no `labels` or no user id feature, or a size is not
            positive.

    References:
        J. Ma et al., "Modeling Task Relationships in Multi-task Learning with
        Multi-gate Mixture-of-Experts", KDD 2018.
    """
    labels = labels_of(encoding)
    embedded = embed_features(encoding, embedding_dim, user_tower, features, history)
    experts = MultiGateMixtureOfExperts(
        len(labels), num_experts, hidden_units, name="experts"
    )
    mixed = experts(embedded.concatenated("features"))
    vectors = dict(zip(labels, mixed, strict=True))
    logits = head_logits(vectors, tower_units, dropout)
    return tf.keras.Model(embedded.inputs, logits, name="mmoe")
