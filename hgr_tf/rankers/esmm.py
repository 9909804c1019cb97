"""ESMM: p(purchase) = p(click) p(purchase | click), over all impressions."""

from collections.abc import Collection, Sequence

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.layers import ProbabilityProduct
from hgr_tf.rankers.embedded_features import Options, embed_features
from hgr_tf.rankers.heads import head_logits, labels_of
from hgr_tf.rankers.side_towers import debiased


@debiased
def esmm_ranker(
    encoding: FeatureEncoding,
    *,
    embedding_dim: int = 16,
    hidden_units: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    without: Collection[str] = (),
) -> tf.keras.Model:
    """Builds an entire space multi-task model.

    The heads share the embeddings. One of a label that is `given` another label
    multiplies the probability of that one's head by a conditional probability of its
    own, which is nowhere trained alone: both are trained over all rows.

    Args:
        encoding: Encoding of the prepared data; its spec has `labels`.
        embedding_dim: Width of each feature's embedding.
        hidden_units: Units of each head's own dense layers.
        dropout: Share of hidden units dropped in training.
        user_tower: Units of a tower of the user features; see
            `embed_features`.
        features: Options of some features by name: width, penalty, dropout, pooling.
        history: How the spec's histories are pooled.
        without: Features, histories and counters that the ranker does not see.

    Returns:
        A functional model from {feature: [batch] or [batch, max_length]} to
        {label: logits [batch, 1]}, its user id embedded by the layer
        "user_embedding".

    Raises:
        ValueError: No label of the spec is `given` another, the spec has no user id
            feature, or a size is not positive.

    References:
        X. Ma et al., "Entire Space Multi-Task Model: An Effective Approach for
        Estimating Post-Click Conversion Rate", SIGIR 2018, arXiv:1804.07931.
    """
    labels = labels_of(encoding)
    if not any(label.given for label in labels.values()):
        raise ValueError(
            "`labels` must have one that is `given` another for an esmm ranker, such "
            f"as purchase given click, got {list(labels)}"
        )
    embedded = embed_features(
        encoding, embedding_dim, user_tower, features, history, without
    )
    x = embedded.concatenated("features")
    logits = head_logits(dict.fromkeys(labels, x), hidden_units, dropout)
    for head, label in labels.items():
        if label.given:
            # Labels come after those that they are given.
            product = ProbabilityProduct(name=f"{head}.product")
            logits[head] = product([logits[label.given], logits[head]])
    return tf.keras.Model(embedded.inputs, logits, name="esmm")
