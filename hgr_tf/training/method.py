"""MethodConfig: what is trained beside the LogLoss, by preset or by field."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "default": {"ranking_loss": "list_ce", "quantization_dropout": 0.25},
    "paper": {
        "ranking_loss": "list_ce",
        "level_weights": "uncertainty",
        "quantized_loss_weight": 0.5,
    },
    **{
        f"{loss}_{lists}": {"ranking_loss": loss, "lists": lists}
        for loss in ("list_ce", "softmax_ce", "pairwise_logistic", "jrc")
        for lists in ("batch", "user")
    },
}
"""Fields that differ from the defaults of `MethodConfig`, by preset: the plain
LogLoss, the hierarchical method in its cheap and its full form, and the
baselines that it is to be compared with."""


class MethodConfig(BaseModel):
    """What is trained beside the LogLoss.

    In YAML either the name of a preset or a mapping of fields, among them
    `preset` to start from one:

        method: default
        method: {preset: default, codebook_size: 32, num_levels: 2}

    Attributes:
        preset: A key of `PRESETS`; fields given beside it win over it.
        ranking_loss: "list_ce", "softmax_ce", "pairwise_logistic", "jrc", a
            tensorflow-ranking key, or None for LogLoss alone.
        lists: What makes a list: users of one code prefix, at every level
            ("codes"); the whole batch; or a user.
        level_weights: Total weight of the ranking loss, a weight for each
            level, or "uncertainty" to learn them.
        normalization: How a level's lists are averaged: per "positive", "list"
            or "sample".
        num_levels: Levels of the codes.
        codebook_size: Codewords per level.
        start_epochs: Epochs before k-means starts the codebooks.
        commitment_cost: Weight of the embeddings' distance to their codes.
        quantized_loss_weight: Weight of the LogLoss of a second forward pass
            that sees the quantized user embedding.
        quantization_dropout: Share of rows that see the quantized user
            embedding in the one forward pass.
        user_embedding: Layer of the ranker whose output is quantized.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal[tuple(PRESETS)] = "none"
    ranking_loss: str | None = None
    lists: Literal["codes", "batch", "user"] = "codes"
    level_weights: float | tuple[float, ...] | Literal["uncertainty"] = 0.3
    normalization: Literal["positive", "list", "sample"] = "positive"
    num_levels: int = Field(3, ge=1)
    codebook_size: int | tuple[int, ...] = 8
    start_epochs: float = Field(0.5, ge=0)
    commitment_cost: float = Field(0.0, ge=0)
    quantized_loss_weight: float = Field(0.0, ge=0)
    quantization_dropout: float = Field(0.0, ge=0, lt=1)
    user_embedding: str = "user_embedding"

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, data):
        if isinstance(data, str):
            data = {"preset": data}
        if isinstance(data, dict):
            preset = data.get("preset", "none")
            data = {**PRESETS.get(preset, {}), **data}
        return data

    @property
    def has_codes(self) -> bool:
        """Whether users are quantized at all."""
        by_code = self.ranking_loss is not None and self.lists == "codes"
        return (
            by_code or self.quantized_loss_weight > 0 or self.quantization_dropout > 0
        )

    def wrap(self, ranker, steps_per_epoch: int, seed: int = 0):
        """Returns a `HierarchicalGroupwiseRanker` that trains `ranker` so.

        Args:
            ranker: A functional model giving logits.
            steps_per_epoch: Training steps in an epoch.
            seed: Seed of k-means and of replaced codewords.

        Raises:
            ValueError: A loss, or the layer of the user embedding, is unknown.
        """
        from hgr_tf.models import HierarchicalGroupwiseRanker

        return HierarchicalGroupwiseRanker(
            ranker,
            user_embedding=self.user_embedding,
            quantizer=self._quantizer(steps_per_epoch, seed),
            ranking_loss=self._ranking_loss(),
            quantized_loss_weight=self.quantized_loss_weight,
            quantization_dropout=self.quantization_dropout,
        )

    def _quantizer(self, steps_per_epoch, seed):
        if not self.has_codes:
            return None
        from hgr_tf.layers import ResidualVectorQuantizer

        return ResidualVectorQuantizer(
            self.num_levels,
            self.codebook_size,
            start_step=max(1, round(self.start_epochs * steps_per_epoch)),
            commitment_cost=self.commitment_cost,
            seed=seed,
        )

    def _ranking_loss(self):
        if self.ranking_loss is None:
            return None
        from hgr_tf import losses

        options = dict(
            listwise=self.ranking_loss,
            level_weights=self.level_weights,
            normalization=self.normalization,
        )
        if self.lists == "codes":
            return losses.HierarchicalGroupwiseLoss(self.num_levels, **options)
        return losses.GroupwiseBaselineLoss(over=self.lists, **options)
