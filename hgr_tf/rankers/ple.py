"""PLE: layers of experts, some of each head and some shared, mixed by gates."""

from collections.abc import Sequence

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.layers import CustomizedGateControl
from hgr_tf.rankers.embedded_features import Options, embed_features
from hgr_tf.rankers.heads import head_logits, labels_of
from hgr_tf.rankers.side_towers import debiased


@debiased
def ple_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    task_experts: int = 2,
    shared_experts: int = 2,
    tower_units: Sequence[int] = (32,),
) -> tf.keras.Model:
    """Builds progressive layered extraction with a head for each label.

    Its layers are `hgr_tf.layers.CustomizedGateControl`.

    Args:
        encoding: Encoding of the prepared data; its spec has `labels`.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of the experts, one number for each extraction layer.
        dropout: Share of the towers' hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.
        task_experts: Experts of each head in a layer.
        shared_experts: Shared experts in a layer.
        tower_units: Units of each head's own dense layers.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        {label: logits [batch, 1]}, its user id embedded by the layer
        "user_embedding".

    Raises:
        ValueError: The spec has no `labels` or no user id feature, or a size is not
            positive.

    References:
        H. Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task
        Learning (MTL) Model for Personalized Recommendations", RecSys 2020.
    """
    labels = labels_of(encoding)
    if not hidden_units:
        raise ValueError("`hidden_units` must be at least one of ple, got none")
    embedded = embed_features(encoding, embedding_dim, user_tower, features, history)
    extracted = [embedded.concatenated("features")] * (len(labels) + 1)
    for index, units in enumerate(hidden_units, start=1):
        extracted = CustomizedGateControl(
            len(labels),
            task_experts,
            shared_experts,
            (units,),
            shared_gate=index < len(hidden_units),
            name=f"extraction_{index}",
        )(extracted)
    vectors = dict(zip(labels, extracted, strict=True))
    logits = head_logits(vectors, tower_units, dropout)
    return tf.keras.Model(embedded.inputs, logits, name="ple")
