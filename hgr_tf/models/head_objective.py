"""HeadObjective: what one head of a ranker is trained on."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from hgr_tf.flat_inputs import flat_float, flat_labels
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase
from hgr_tf.losses.log_loss import flat_log_loss, mean_weight
from hgr_tf.models.heads import ByHead, by_head, of_head
from hgr_tf.models.sums import OptionalTensor, sum_of
from hgr_tf.models.user_codes import UserCodes

TRAINING_TERMS = ("ranking_loss", "occupancy")
"""Terms of an objective that are known in training alone."""


class Term(NamedTuple):
    """What is reported of a batch: a figure, and its weight in means over batches.

    Attributes:
        value: float32 scalar.
        weight: float32 scalar.
    """

    value: tf.Tensor
    weight: tf.Tensor


class HeadRows(NamedTuple):
    """Rows of one head, each float32 [batch]."""

    labels: tf.Tensor
    logits: tf.Tensor
    weights: tf.Tensor | None


def rows_by_head(
    labels: ByHead, logits: ByHead, sample_weight: ByHead
) -> dict[str, HeadRows]:
    """The rows of each head, flat, checked and masked."""
    all_labels, weights = by_head(labels), by_head(sample_weight)
    rows = {}
    for head, scores in by_head(logits).items():
        y, w = flat_labels(all_labels[head], weights.get(head), highest=1)
        rows[head] = HeadRows(y, flat_float(scores), w)
    return rows


def reported_log_losses(
    labels: ByHead, logits: ByHead, sample_weight: ByHead
) -> dict[str, Term]:
    """What is reported of an evaluated batch: the LogLoss of each head."""
    reported = {}
    for head, rows in rows_by_head(labels, logits, sample_weight).items():
        weight, per_weight = mean_weight(rows.labels, rows.weights)
        value = flat_log_loss(*rows) * per_weight
        reported[of_head(head, "log_loss")] = Term(value, weight)
    return reported


class HeadTerms(NamedTuple):
    """What one head adds to the objective, before its weight.

    Attributes:
        log_loss: Mean over the rows.
        mean_log_loss: Weighted mean.
        weight: Sum of the rows' weights.
        quantized_log_loss: Mean over the rows of the second pass, as weighted; None
            without one, as the next.
        mean_quantized_log_loss: Weighted mean.
        ranking: The ranking loss, if there is one.
        spanning: That, where every replica computes it of the rows of all.
        occupancy: Share of the samples in a list of two classes.
    """

    log_loss: tf.Tensor
    mean_log_loss: tf.Tensor
    weight: tf.Tensor
    quantized_log_loss: OptionalTensor = None
    mean_quantized_log_loss: OptionalTensor = None
    ranking: OptionalTensor = None
    spanning: OptionalTensor = None
    occupancy: Term | None = None

    @property
    def loss(self) -> tf.Tensor:
        """The loss of the head, a float32 scalar."""
        return sum_of([self.log_loss, self.quantized_log_loss, self.ranking])

    def reported(self) -> dict[str, Term]:
        """Name -> `Term`; see `ObjectiveTerms`."""
        terms = {"log_loss": Term(self.mean_log_loss, self.weight)}
        if self.occupancy is not None:
            terms["ranking_loss"] = Term(self.ranking, self.weight)
            terms["occupancy"] = self.occupancy
        return terms


class HeadObjective(NamedTuple):
    """The loss of one head: LogLoss, that of the second pass, and a ranking loss.

    Attributes:
        ranking_loss: A groupwise loss, or None.
        quantized_loss_weight: Weight of the LogLoss of the second pass.
    """

    ranking_loss: GroupwiseLossBase | None
    quantized_loss_weight: float

    def compute(
        self,
        rows: HeadRows,
        codes: UserCodes | None,
        quantized_logits: tf.Tensor | None,
        user_ids: tf.Tensor | None,
        training: bool,
    ) -> HeadTerms:
        """The terms of a batch; see `Objective.compute`."""
        labels, logits, weights = rows
        log_loss = flat_log_loss(labels, logits, weights)
        weight, per_weight = mean_weight(labels, weights)
        terms = HeadTerms(log_loss, log_loss * per_weight, weight)
        if quantized_logits is not None and codes is not None:
            second = flat_log_loss(labels, flat_float(quantized_logits), weights)
            second = self.quantized_loss_weight * codes.gate(second)
            terms = terms._replace(
                quantized_log_loss=second, mean_quantized_log_loss=second * per_weight
            )
        if self.ranking_loss is None:
            return terms
        output = self.ranking_loss.compute_flat(
            labels,
            logits,
            weights,
            None if codes is None else codes.codes,
            user_ids,
            training=training,
            started=True if codes is None else codes.started,
        )
        ranking = output.loss if codes is None else codes.gate(output.loss)
        listed = weight if codes is None else codes.gate(weight)
        return terms._replace(
            ranking=ranking,
            spanning=ranking if self.ranking_loss.global_batch else None,
            occupancy=Term(output.occupancy[-1], listed),
        )
