"""Validates the ranker, the quantizer and the ranking loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.functional.final_activation import ends_in_sigmoid
from hgr_tf.layers import ResidualVectorQuantizer, UncertaintyWeighting
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase
from hgr_tf.models.heads import ONE_OUTPUT, heads_of

if TYPE_CHECKING:
    from hgr_tf.models.objective import HeadWeights, Objective, RankingLoss


def check_objective(objective: Objective) -> None:
    """Raises `ValueError` unless its parts and weights go together."""
    weight, dropout = objective.quantized_loss_weight, objective.quantization_dropout
    if not weight >= 0:
        raise ValueError(f"`quantized_loss_weight` must be at least 0, got {weight}")
    if not 0 <= dropout <= 1:
        raise ValueError(f"`quantization_dropout` must be in [0, 1], got {dropout}")
    losses = objective.ranking_losses.values()
    for ranking_loss in losses:
        check_ranking_loss(ranking_loss)
        if isinstance(objective.head_weights, UncertaintyWeighting):
            _check_at_least_0(ranking_loss)
    if objective.quantizer is not None:
        for each in losses or [None]:
            check_quantizer(objective.quantizer, each)
        return
    if weight or dropout:
        raise ValueError(
            "`quantizer` must be given with quantized_loss_weight or "
            "quantization_dropout, got None"
        )
    if any(hasattr(ranking_loss, "num_levels") for ranking_loss in losses):
        raise ValueError(
            "`quantizer` must be given with a HierarchicalGroupwiseLoss, got None"
        )


def _check_at_least_0(ranking_loss: GroupwiseLossBase) -> None:
    """Raises `ValueError` where a loss may be negative: its weight is not learned."""
    learned = isinstance(ranking_loss.level_weights, str | UncertaintyWeighting)
    if learned or ranking_loss.may_be_negative:
        cause = "learned `level_weights`" if learned else "losses of tensorflow-ranking"
        raise ValueError(
            "`head_weights` must be fixed with a ranking loss that may be negative, as "
            f"with {cause}; got 'uncertainty'"
        )


def check_quantizer(quantizer: object, ranking_loss: object) -> None:
    """Raises `ValueError` unless it is a quantizer of as many levels as the loss."""
    if not isinstance(quantizer, ResidualVectorQuantizer):
        raise ValueError(
            f"`quantizer` must be a ResidualVectorQuantizer, got {quantizer!r}"
        )
    levels = getattr(ranking_loss, "num_levels", quantizer.num_levels)
    if levels != quantizer.num_levels:
        raise ValueError(
            f"`ranking_loss` must be of the quantizer's {quantizer.num_levels} levels, "
            f"got num_levels={levels}"
        )


def check_ranking_loss(ranking_loss: object) -> None:
    """Raises `ValueError` unless it is a groupwise loss."""
    if not isinstance(ranking_loss, GroupwiseLossBase):
        raise ValueError(
            "`ranking_loss` must be a HierarchicalGroupwiseLoss or a "
            f"GroupwiseBaselineLoss, got {ranking_loss!r}"
        )


def check_heads(
    heads: Sequence[str],
    ranking_loss: RankingLoss,
    head_weights: HeadWeights,
    given: Mapping[str, str] | None,
) -> None:
    """Raises `ValueError` unless what is given for each head goes by their names.

    Args:
        heads: Names of the ranker's outputs; see `heads_of`.
        ranking_loss: As `HierarchicalGroupwiseRanker` takes it, as what follows.
        head_weights: Weights of the heads.
        given: Head -> the head whose label must be positive.
    """
    told = "which has one output" if tuple(heads) == ONE_OUTPUT else list(heads)
    by_name = {"given": [*given, *given.values()] if given else []}
    if isinstance(ranking_loss, dict):
        by_name["ranking_loss"] = list(ranking_loss)
    elif ranking_loss is not None and tuple(heads) != ONE_OUTPUT:
        raise ValueError(
            f"`ranking_loss` must be a dict by the heads of the ranker, {told}, got "
            f"{ranking_loss!r}"
        )
    if isinstance(head_weights, dict):
        by_name["head_weights"] = list(head_weights)
        if not all(weight >= 0 for weight in head_weights.values()):
            raise ValueError(f"`head_weights` must be at least 0, got {head_weights}")
    elif head_weights is not None:
        _check_learned_weights(head_weights, len(heads))
    for name, named in by_name.items():
        unknown = sorted(set(named) - set(heads))
        if unknown:
            raise ValueError(
                f"`{name}` must name heads of the ranker, {told}, got {unknown}"
            )


def _check_learned_weights(head_weights: object, num_heads: int) -> None:
    learned = head_weights == "uncertainty" and num_heads
    if isinstance(head_weights, UncertaintyWeighting):
        learned = head_weights.num_losses
    if num_heads < 2 or learned != num_heads:
        raise ValueError(
            "`head_weights` must be a dict by head or, of several heads, 'uncertainty' "
            f"or an UncertaintyWeighting of as many losses, got {head_weights!r} for "
            f"{num_heads}"
        )


def check_ranker(ranker: object, from_logits: bool) -> None:
    """Raises `ValueError` unless it is a Keras model with one or a dict of outputs.

    Args:
        ranker: The model.
        from_logits: Whether its outputs are taken for logits or probabilities.
    """
    if not isinstance(ranker, tf.keras.Model):
        raise ValueError(f"`ranker` must be a Keras model, got {ranker!r}")
    outputs = getattr(ranker, "outputs", None)
    if outputs and len(outputs) != 1 and heads_of(ranker) == ONE_OUTPUT:
        raise ValueError(
            "`ranker` must have one output, or a dict of them by the names of its "
            f"heads, got {len(outputs)}"
        )
    if from_logits and ends_in_sigmoid(ranker):
        raise ValueError(
            "`from_logits` must be False for a ranker that ends in a sigmoid, got True"
        )
