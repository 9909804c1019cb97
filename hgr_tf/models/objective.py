"""Objective: what is trained on labels, logits and codes, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

import tensorflow as tf

from hgr_tf.distribute import num_replicas, sum_over_replicas
from hgr_tf.layers import ResidualVectorQuantizer, UncertaintyWeighting
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase
from hgr_tf.models.head_objective import (
    TRAINING_TERMS,
    HeadObjective,
    HeadTerms,
    Term,
    rows_by_head,
)
from hgr_tf.models.heads import ByHead, by_head, of_head
from hgr_tf.models.sums import OptionalTensor, sum_of, weighted_sum
from hgr_tf.models.user_codes import UserCodes

RankingLoss: TypeAlias = GroupwiseLossBase | Mapping[str, GroupwiseLossBase] | None
"""The ranking loss of the one output, or those of several heads by name."""

HeadWeights: TypeAlias = (
    Mapping[str, float] | Literal["uncertainty"] | UncertaintyWeighting | None
)
"""Weights of several heads, 1 for those that have none, or learned ones."""


class ObjectiveTerms(NamedTuple):
    """The objective of a batch, and what is to be reported of it.

    Attributes:
        loss: float32 scalar to be trained; its LogLosses are means over the rows.
        reported: Name -> `Term`. "loss" and "log_loss" with LogLosses that are
            weighted means, which is the loss that an epoch of training shows; with a
            ranking loss "ranking_loss" and "occupancy", the share of the samples that
            are in a list of two classes at the deepest level. With several heads
            "click/log_loss" and so on, before the weight of the head.
        spanning: The part of `loss` that every replica computes of the rows of all;
            None where each has its own.
    """

    loss: tf.Tensor
    reported: dict[str, Term]
    spanning: tf.Tensor | None = None

    def share_of(self, rows: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        """What these rows add to the loss of a step.

        Optimizers sum gradients over the replicas, and so are several parts of a
        batch: summed like that, LogLosses are means over all rows of the step.

        Args:
            rows: int32 scalar: rows that the terms are of.
            total: int32 scalar: rows of the step, on all replicas.
        """
        own = tf.cast(rows / total, tf.float32)
        if self.spanning is None:
            return own * self.loss
        part = tf.cast(sum_over_replicas(rows) / total, tf.float32)
        return own * (self.loss - self.spanning) + part * self.spanning / num_replicas()


class Objective(NamedTuple):
    """The loss that rankers with groups are trained with.

    loss = sum_h weight_h . ( LogLoss(s_h, y_h)
                            + quantized_loss_weight . LogLoss(s_q,h, y_h)
                            + ranking_loss_h(y_h, s_h, codes) )
         + quantizer loss + regularization

    over the heads h; a ranker with one output has one, of weight 1. Until the
    quantizer has started, the codes do not mean anything: the second and third terms
    are 0 then, and no pass sees a quantized embedding.

    Attributes:
        quantizer: A `ResidualVectorQuantizer`, or None.
        ranking_loss: A groupwise loss, or None; with several heads, those of some.
        quantized_loss_weight: Weight of the LogLoss of the second pass.
        quantization_dropout: Share of the rows that see the quantized embedding
            in the first pass.
        head_weights: Head -> weight, 1 if it is not named; or an
            `UncertaintyWeighting` that learns them.

    Source: arXiv:2506.12756, section 3 and equation 10.
    """

    quantizer: ResidualVectorQuantizer | None = None
    ranking_loss: RankingLoss = None
    quantized_loss_weight: float = 0.0
    quantization_dropout: float = 0.0
    head_weights: Mapping[str, float] | UncertaintyWeighting | None = None

    @property
    def ranking_losses(self) -> dict[str, GroupwiseLossBase]:
        """The ranking loss of each head that has one."""
        losses = by_head(self.ranking_loss)
        return {head: loss for head, loss in losses.items() if loss is not None}

    @property
    def needs_users(self) -> bool:
        """Whether a ranking loss needs user ids."""
        losses = self.ranking_losses.values()
        return any(getattr(loss, "by_user", False) for loss in losses)

    def tracked(self, heads: Iterable[str]) -> list[str]:
        """Names of what is reported of a training batch, "loss" left out."""
        losses = self.ranking_losses
        return [
            of_head(head, name)
            for head in heads
            for name in ("log_loss", *(TRAINING_TERMS if head in losses else ()))
        ]

    def fixed_weights(self, heads: Iterable[str]) -> dict[str, float]:
        """Head -> its weight; 1 for all heads while weights are learned."""
        learned = isinstance(self.head_weights, UncertaintyWeighting)
        fixed = {} if learned else self.head_weights or {}
        return {head: fixed.get(head, 1.0) for head in heads}

    def quantize(
        self,
        embeddings: tf.Tensor,
        user_ids: tf.Tensor | None = None,
        training: bool = False,
    ) -> UserCodes:
        """Codes of user embeddings [batch, dim]; learns them in training.

        Raises:
            ValueError: There is no quantizer.
        """
        if self.quantizer is None:
            raise ValueError("`quantizer` must be given to quantize, got None")
        quantized = self.quantizer(embeddings, training=training, user_ids=user_ids)
        started = self.quantizer.started
        return UserCodes(quantized.quantized, quantized.codes, quantized.loss, started)

    def embeddings_to_rank(
        self, embeddings: tf.Tensor, codes: UserCodes
    ) -> list[tf.Tensor]:
        """The user embeddings, [batch, dim], that the ranker is to be run with.

        Returns:
            Those of the first pass, or those of the second pass and the first.
        """
        seen = embeddings
        if self.quantization_dropout:
            share = codes.gate(self.quantization_dropout)
            drawn = tf.random.uniform(tf.shape(embeddings)[:1]) < share
            seen = tf.where(drawn[:, None], codes.quantized, embeddings)
        if not self.quantized_loss_weight:
            return [seen]
        # Before the start the second pass is the first again: layers that keep
        # statistics of their inputs must not see codes without a meaning.
        return [tf.where(codes.started, codes.quantized, embeddings), seen]

    def compute(
        self,
        labels: ByHead,
        logits: ByHead,
        sample_weight: ByHead = None,
        *,
        codes: UserCodes | None = None,
        quantized_logits: ByHead = None,
        user_ids: tf.Tensor | None = None,
        regularization: tf.Tensor | float = 0.0,
        training: bool = False,
    ) -> ObjectiveTerms:
        """The objective of a batch.

        Args:
            labels: [batch] or [batch, 1], in [0, 1]; with several heads, a dict with
                one for each, as those that follow.
            logits: [batch] or [batch, 1], of the first pass.
            sample_weight: Optional [batch] or [batch, 1], at least 0.
            codes: What `quantize` returned; None without a quantizer.
            quantized_logits: [batch] or [batch, 1], of the second pass, if any;
                only with `codes`.
            user_ids: int [batch], for lists of users.
            regularization: Scalar to add: the ranker's own losses.
            training: Whether learned weights of levels and heads may start.

        Raises:
            ValueError: There are `quantized_logits` without `codes`.
            ValueError or tf.errors.InvalidArgumentError: A label or a weight is out
                of range; see `hgr_tf.set_input_checks`.
        """
        if quantized_logits is not None and codes is None:
            raise ValueError("`codes` must be given with `quantized_logits`, got None")
        second, losses = by_head(quantized_logits), self.ranking_losses
        heads = {
            head: HeadObjective(losses.get(head), self.quantized_loss_weight).compute(
                rows, codes, second.get(head), user_ids, training
            )
            for head, rows in rows_by_head(labels, logits, sample_weight).items()
        }
        weights, penalty = self._weigh(heads, codes, training)

        def over_heads(value: Callable[[HeadTerms], OptionalTensor]) -> OptionalTensor:
            return weighted_sum(weights, [value(terms) for terms in heads.values()])

        def total(log_loss: OptionalTensor, second: OptionalTensor) -> tf.Tensor:
            beside = None if codes is None else codes.loss
            ranking = over_heads(lambda of: of.ranking)
            return sum_of([log_loss, regularization, beside, second, ranking, penalty])

        loss = total(
            over_heads(lambda of: of.log_loss),
            over_heads(lambda of: of.quantized_log_loss),
        )
        shown = total(
            over_heads(lambda of: of.mean_log_loss),
            over_heads(lambda of: of.mean_quantized_log_loss),
        )
        weight = tf.add_n([terms.weight for terms in heads.values()])
        reported = {"loss": Term(shown, weight)}
        for head, terms in heads.items():
            reported |= {of_head(head, n): t for n, t in terms.reported().items()}
        return ObjectiveTerms(loss, reported, over_heads(lambda of: of.spanning))

    def _weigh(
        self, heads: Mapping[str, HeadTerms], codes: UserCodes | None, training: bool
    ) -> tuple[list[tf.Tensor | float], OptionalTensor]:
        """The weight of each head, and what learning them adds to the loss.

        Learned weights start with the codes: the terms that need codes are part of
        the losses whose scale they start from.
        """
        if not isinstance(self.head_weights, UncertaintyWeighting):
            return list(self.fixed_weights(heads).values()), None
        losses = tf.stack([terms.loss for terms in heads.values()])
        counts = tf.stack([terms.weight > 0 for terms in heads.values()])
        started = True if codes is None else codes.started
        weights, penalty = self.head_weights.weigh(losses, counts, started, training)
        return tf.unstack(weights), penalty
