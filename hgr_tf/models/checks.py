"""Validates the ranker, the quantizer and the ranking loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.functional.final_activation import ends_in_sigmoid
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase

if TYPE_CHECKING:
    from hgr_tf.models.objective import Objective


def check_objective(objective: Objective) -> None:
    """Raises `ValueError` unless its parts and weights go together."""
    weight, dropout = objective.quantized_loss_weight, objective.quantization_dropout
    if not weight >= 0:
        raise ValueError(f"`quantized_loss_weight` must be at least 0, got {weight}")
    if not 0 <= dropout <= 1:
        raise ValueError(f"`quantization_dropout` must be in [0, 1], got {dropout}")
    if objective.ranking_loss is not None:
        check_ranking_loss(objective.ranking_loss)
    if objective.quantizer is not None:
        check_quantizer(objective.quantizer, objective.ranking_loss)
        return
    if weight or dropout:
        raise ValueError(
            "`quantizer` must be given with quantized_loss_weight or "
            "quantization_dropout, got None"
        )
    if getattr(objective.ranking_loss, "num_levels", 0):
        raise ValueError(
            "`quantizer` must be given with a HierarchicalGroupwiseLoss, got None"
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


def check_ranker(ranker: object, from_logits: bool) -> None:
    """Raises `ValueError` unless it is a Keras model with one output, of logits.

    Args:
        ranker: The model.
        from_logits: Whether its output is taken for logits or probabilities.
    """
    if not isinstance(ranker, tf.keras.Model):
        raise ValueError(f"`ranker` must be a Keras model, got {ranker!r}")
    outputs = getattr(ranker, "outputs", None)
    if outputs and len(outputs) != 1:
        raise ValueError(f"`ranker` must have one output, got {len(outputs)}")
    if isinstance(getattr(ranker, "output", None), dict):
        raise ValueError(
            "`ranker` must have one output that is a tensor, got a dict with "
            f"{list(ranker.output)}"
        )
    if from_logits and ends_in_sigmoid(ranker):
        raise ValueError(
            "`from_logits` must be False for a ranker that ends in a sigmoid, got True"
        )
