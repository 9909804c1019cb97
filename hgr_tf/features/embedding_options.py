"""EmbeddingOptions: how a ranker embeds one feature."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hgr_tf.features.strict_model import Strict

Pooling = Literal["mean", "sum", "max", "attention"]


class EmbeddingOptions(Strict):
    """How a ranker embeds one categorical feature.

    They are part of a run's config, not of the spec: prepared data does not depend
    on them.

    Attributes:
        dim: Width of the embedding; that of the other features by default.
        l2: Weight of the penalty sum ||e_id||^2 over the distinct ids of a batch.
        dropout: Share of a batch's rows in which training sees the zero vector in
            place of the embedding; the others are scaled by 1 / (1 - dropout). The
            embedding that groups users is not dropped.
        pooling: How the embeddings of a list become one. "attention" weights them by
            their relevance to the row's value of the feature whose ids the list shares
            (`TargetAttention`).
    """

    dim: int | None = Field(None, ge=1)
    l2: float = Field(0.0, ge=0, allow_inf_nan=False)
    dropout: float = Field(0.0, ge=0, lt=1)
    pooling: Pooling = "mean"
