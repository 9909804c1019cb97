"""MethodConfig: what is trained beside the LogLoss, by preset or by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from hgr_tf.features.strict_model import describe
from hgr_tf.hints import did_you_mean
from hgr_tf.training.head_config import HeadConfig, LevelWeights, Lists, Normalization
from hgr_tf.training.imported import NamesOrImported, instance_of, is_imported

if TYPE_CHECKING:
    import tensorflow as tf

    from hgr_tf.features.labels import Label
    from hgr_tf.layers import ResidualVectorQuantizer, UncertaintyWeighting
    from hgr_tf.losses.groupwise_loss import GroupwiseLossBase
    from hgr_tf.losses.listwise_loss import Listwise
    from hgr_tf.models import HierarchicalGroupwiseRanker
    from hgr_tf.models.objective import RankingLoss

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "default": {"ranking_loss": "list_ce", "quantization_dropout": 0.25},
    "random_codes": {
        "ranking_loss": "list_ce",
        "lists": "random_codes",
        "quantization_dropout": 0.25,
    },
    "paper": {
        "ranking_loss": "list_ce",
        "level_weights": "uncertainty",
        "quantized_loss_weight": 0.5,
    },
}
"""Fields that differ from the defaults of `MethodConfig`, by preset: the plain
LogLoss, the hierarchical method in its cheap form, the control of that form, and its
full form. Beside them, <loss>_batch and <loss>_user of every registered loss are the
baselines that it is to be compared with: see `preset_fields`."""

_BASELINES = ("batch", "user")
_BY_CODE = ("codes", "random_codes")


def preset_fields(name: str) -> dict[str, Any]:
    """The fields of a preset.

    Raises:
        ValueError: There is no such preset.
    """
    if name in PRESETS:
        return PRESETS[name]
    from hgr_tf.losses import listwise_names

    losses = listwise_names()
    loss, _, lists = str(name).rpartition("_")
    if loss in losses and lists in _BASELINES:
        return {"ranking_loss": loss, "lists": lists}
    known = [*PRESETS, *(f"{loss}_{lists}" for loss in losses for lists in _BASELINES)]
    hint = did_you_mean(name, known)
    raise ValueError(f"must be one of {known}, got {name!r}{hint}")


def _check_preset(name: str) -> str:
    preset_fields(name)
    return name


class MethodConfig(BaseModel):
    """What is trained beside the LogLoss.

    In YAML either the name of a preset or a mapping of fields, among them
    `preset` to start from one:

        method: default
        method: {preset: default, codebook_size: 32, num_levels: 2}

    Attributes:
        preset: One of `PRESETS`, or <loss>_batch or <loss>_user; fields given beside it
            win over it.
        ranking_loss: The name of a registered listwise loss, a tensorflow-ranking
            key, or "package.module:name" of a function, an instance or a class
            that `HierarchicalGroupwiseLoss` takes as `listwise`; a list of these,
            one for each level; or None for LogLoss alone.
        lists: What makes a list: users of one code prefix, at every level
            ("codes"); the same after the codes were dealt anew among the users of
            the batch ("random_codes"), a control with as many users in each list; the
            whole batch; or a user.
        level_weights: Total weight of the ranking loss, a weight for each
            level, or "uncertainty" to learn them.
        normalization: How a level's lists are averaged: per "positive", "list"
            or "sample".
        uncertainty_learning_rate_scale: With learned weights: how many times the
            learning rate theirs is.
        user_level: Adds the user as one more, deepest level.
        global_batch: Under a `tf.distribute` strategy, lists span all replicas.
        num_levels: Levels of the codes.
        codebook_size: Codewords per level.
        distance: "squared_l2" or "cosine": how codewords are chosen.
        learning: "ema" or "gradient": how codewords move.
        initializer: "kmeans" or "random": how codewords start.
        start_buffer: Rows that k-means runs on.
        decay: Decay of the moving averages of "ema".
        expiry_threshold: Share of a level's mean usage under which a codeword is
            replaced; 0 never replaces.
        gradient_estimator: "straight_through" or "rotation": the gradient through
            the quantized embedding.
        unique_users: Whether each user of a batch is quantized once.
        start_epochs: Epochs before k-means starts the codebooks.
        commitment_cost: Weight of the embeddings' distance to their codes.
        quantized_loss_weight: Weight of the LogLoss of a second forward pass
            that sees the quantized user embedding.
        quantization_dropout: Share of rows that see the quantized user
            embedding in the one forward pass.
        user_embedding: Layer of the ranker whose output is quantized. By default it is
            "user_tower" where the ranker has one and the spec a history, since what
            users did groups them better than their ids; else "user_embedding". See
            `RunConfig.for_spec`.
        from_logits: Whether the ranker gives logits or, a ranker of one's own alone,
            probabilities.
        heads: Label -> what its head is trained with, where a spec has `labels` and
            the head shall differ from what the other fields say of all heads.
        head_weights: "fixed", by the `weight` of each head, or "uncertainty" to learn
            them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Annotated[str, AfterValidator(_check_preset)] = "none"
    ranking_loss: NamesOrImported | None = None
    lists: Lists = "codes"
    level_weights: LevelWeights = 0.3
    normalization: Normalization = "positive"
    uncertainty_learning_rate_scale: float = Field(10.0, gt=0)
    user_level: bool = False
    global_batch: bool = False
    num_levels: int = Field(3, ge=1)
    codebook_size: int | tuple[int, ...] = 8
    distance: Literal["squared_l2", "cosine"] = "squared_l2"
    learning: Literal["ema", "gradient"] = "ema"
    initializer: Literal["kmeans", "random"] = "kmeans"
    start_epochs: float = Field(0.5, ge=0)
    start_buffer: int = Field(8192, ge=1)
    decay: float = Field(0.99, ge=0, lt=1)
    expiry_threshold: float = Field(0.01, ge=0)
    gradient_estimator: Literal["straight_through", "rotation"] = "straight_through"
    unique_users: bool = False
    commitment_cost: float = Field(0.0, ge=0)
    quantized_loss_weight: float = Field(0.0, ge=0)
    quantization_dropout: float = Field(0.0, ge=0, lt=1)
    user_embedding: str | None = None
    from_logits: bool = True
    heads: dict[str, HeadConfig] = Field({})
    head_weights: Literal["fixed", "uncertainty"] = "fixed"

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"preset": data}
        if isinstance(data, dict):
            try:
                fields = preset_fields(data.get("preset", "none"))
            except ValueError:  # told of by the field's own check
                fields = {}
            data = {**fields, **data}
        return data

    @model_validator(mode="after")
    def _check_user_level(self) -> MethodConfig:
        if self.user_level and self.lists != "codes":
            raise ValueError(
                "`user_level` must be false unless `lists` is 'codes', got true with "
                f"lists {self.lists!r}"
            )
        return self

    @model_validator(mode="after")
    def _check_heads(self) -> MethodConfig:
        for name in self.heads:
            try:
                self.of_head(name)
            except ValidationError as error:
                raise ValueError(f"heads.{name}: {describe(error)}") from error
        weighed = {name: head.weight for name, head in self.heads.items()}
        if self.head_weights == "uncertainty" and set(weighed.values()) - {1.0}:
            raise ValueError(
                "`heads` must have no weights where `head_weights` is 'uncertainty', "
                f"got {weighed}"
            )
        return self

    def of_head(self, name: str) -> MethodConfig:
        """What the head of a label is trained with."""
        if name not in self.heads:
            return self
        own = self.model_dump(exclude={"heads", "head_weights"})
        return MethodConfig.model_validate(self.heads[name].over(own))

    @property
    def has_codes(self) -> bool:
        """Whether users are quantized at all, by a ranker with one output."""
        return self._quantizes((self,))

    def _quantizes(self, methods: Iterable[MethodConfig]) -> bool:
        """Whether users are quantized where these are the methods of the heads."""
        by_code = any(
            method.ranking_loss is not None and method.lists in _BY_CODE
            for method in methods
        )
        return (
            by_code or self.quantized_loss_weight > 0 or self.quantization_dropout > 0
        )

    def wrap(
        self,
        ranker: tf.keras.Model,
        steps_per_epoch: int,
        seed: int = 0,
        gradient_accumulation: int = 1,
        labels: Mapping[str, Label] | None = None,
        entire_space: bool = False,
    ) -> HierarchicalGroupwiseRanker:
        """Returns a `HierarchicalGroupwiseRanker` that trains `ranker` so.

        Args:
            ranker: A Keras model, as `HierarchicalGroupwiseRanker` takes them.
            steps_per_epoch: Training steps in an epoch.
            seed: Seed of k-means and of replaced codewords.
            gradient_accumulation: Parts that a batch is computed in.
            labels: Labels of the ranker's heads by name; None for a single output.
            entire_space: Whether rows count where the label that a head's is `given`
                is negative, for heads that do not say so themselves.

        Raises:
            ValueError: A loss, the layer of the user embedding, or a label of `heads`
                is unknown.
        """
        from hgr_tf.models import HierarchicalGroupwiseRanker

        quantizes = self._quantizes(map(self.of_head, labels) if labels else (self,))
        steps = gradient_accumulation * steps_per_epoch
        return HierarchicalGroupwiseRanker(
            ranker,
            user_embedding=self.user_embedding,
            quantizer=self._quantizer(steps, seed) if quantizes else None,
            ranking_loss=self._ranking_losses(labels),
            quantized_loss_weight=self.quantized_loss_weight,
            quantization_dropout=self.quantization_dropout,
            from_logits=self.from_logits,
            unique_users=self.unique_users,
            gradient_accumulation=gradient_accumulation,
            **self._of_heads(labels, entire_space),
        )

    def _of_heads(
        self, labels: Mapping[str, Label] | None, entire_space: bool
    ) -> dict[str, Any]:
        """Arguments of the model that are for several heads."""
        unknown = sorted(set(self.heads) - set(labels or ()))
        if unknown:
            raise ValueError(
                "`method.heads` must name labels of the spec's `labels`, "
                f"{list(labels or ())}, got {unknown}"
            )
        if not labels:
            return {}
        weights: Any = {name: head.weight for name, head in self.heads.items()}
        if self.head_weights == "uncertainty":
            from hgr_tf.layers import UncertaintyWeighting

            scale = self.uncertainty_learning_rate_scale
            weights = UncertaintyWeighting(len(labels), scale)
        return {"given": self.given(labels, entire_space), "head_weights": weights}

    def given(self, labels: Mapping[str, Label], entire_space: bool) -> dict[str, str]:
        """Head -> the head whose label must be positive for a row to count.

        Args:
            labels: As in `wrap`.
            entire_space: As in `wrap`.
        """
        given = {}
        for name, label in labels.items():
            own = self.heads[name].entire_space if name in self.heads else None
            if label.given and not (entire_space if own is None else own):
                given[name] = label.given
        return given

    def _quantizer(self, calls_per_epoch: int, seed: int) -> ResidualVectorQuantizer:
        from hgr_tf.layers import ResidualVectorQuantizer

        return ResidualVectorQuantizer(
            self.num_levels,
            self.codebook_size,
            distance=self.distance,
            learning=self.learning,
            initializer=self.initializer,
            start_step=max(1, round(self.start_epochs * calls_per_epoch)),
            start_buffer=self.start_buffer,
            decay=self.decay,
            expiry_threshold=self.expiry_threshold,
            commitment_cost=self.commitment_cost,
            gradient_estimator=self.gradient_estimator,
            seed=seed,
        )

    def _ranking_losses(self, labels: Mapping[str, Label] | None) -> RankingLoss:
        if not labels:
            return self._ranking_loss()
        losses = {name: self.of_head(name)._ranking_loss() for name in labels}
        return {name: loss for name, loss in losses.items() if loss is not None}

    def _ranking_loss(self) -> GroupwiseLossBase | None:
        if self.ranking_loss is None:
            return None
        from hgr_tf import losses

        options: dict[str, Any] = dict(
            listwise=_listwise_of(self.ranking_loss),
            level_weights=self._level_weights(),
            normalization=self.normalization,
            global_batch=self.global_batch,
        )
        if self.lists in ("batch", "user"):
            return losses.GroupwiseBaselineLoss(over=self.lists, **options)
        return losses.HierarchicalGroupwiseLoss(
            self.num_levels,
            user_level=self.user_level,
            shuffle_codes=self.lists == "random_codes",
            **options,
        )

    def _level_weights(self) -> float | tuple[float, ...] | UncertaintyWeighting:
        if self.level_weights != "uncertainty":
            return self.level_weights
        from hgr_tf.layers import UncertaintyWeighting

        levels = self.num_levels + self.user_level if self.lists in _BY_CODE else 1
        return UncertaintyWeighting(levels, self.uncertainty_learning_rate_scale)


def _listwise_of(loss: str | tuple[str, ...]) -> Listwise | list[Listwise]:
    """What `listwise` of a groupwise loss takes."""
    if isinstance(loss, tuple):
        return [_one_listwise_of(text) for text in loss]
    return _one_listwise_of(loss)


def _one_listwise_of(text: str) -> Listwise:
    return instance_of(text) if is_imported(text) else text
