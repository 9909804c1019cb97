"""HistoryOptions: how a ranker makes one vector of what a user did."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hgr_tf.features.strict_model import Strict


class HistoryOptions(Strict):
    """How a ranker pools the events of each history of the spec.

    They are part of a run's config, not of the spec: prepared data does not depend
    on them.

    Attributes:
        pooling: "mean" pools each list of a history by itself, as its
            `EmbeddingOptions` say. The others pool whole events, whose listed
            features stand side by side: "attention" weights them by their relevance
            to the row's item (`TargetAttention`), "transformer" takes the mean of
            events that have seen each other (`HistoryEncoder`).
        hidden_units: Units of the scoring network of "attention"; empty for the
            scaled dot product.
        num_layers: Encoder layers of "transformer".
        num_heads: Heads of each.
        dropout: Dropout in the encoder layers.
    """

    pooling: Literal["mean", "attention", "transformer"] = "mean"
    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = (32,)
    num_layers: int = Field(1, ge=1)
    num_heads: int = Field(2, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
