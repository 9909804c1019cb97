"""Objective: what is trained on labels, logits and codes, in one place."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from hgr_tf.distribute import num_replicas, sum_over_replicas
from hgr_tf.flat_inputs import flat_float, flat_labels
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase
from hgr_tf.losses.log_loss import flat_log_loss, mean_weight


class UserCodes(NamedTuple):
    """What the quantizer made of a batch of user embeddings.

    Attributes:
        quantized: float [batch, dim].
        codes: int32 [batch, levels].
        loss: float32 scalar, the quantizer's own.
        started: bool scalar. Until then the codes do not mean anything.
    """

    quantized: tf.Tensor
    codes: tf.Tensor
    loss: tf.Tensor
    started: tf.Tensor

    def gate(self, value: tf.Tensor | float) -> tf.Tensor:
        """`value`, but 0 until the codes have started."""
        return tf.cast(self.started, tf.float32) * value


class ObjectiveTerms(NamedTuple):
    """The objective of a batch, and what is to be reported of it.

    Attributes:
        loss: float32 scalar to be trained; its LogLosses are means over the rows.
        reported: Name -> float32 scalar. "loss" and "log_loss" with LogLosses that
            are weighted means; with a ranking loss "ranking_loss", as it is added to
            the objective, and "occupancy", the share of the samples that are in a
            list of two classes at the deepest level.
        weight: Sum of the weights, by which terms of several batches are averaged.
        counts: Name -> that weight, of a term to be averaged by another one.
        spanning: The part of `loss` that every replica computes of the rows of all;
            None where each has its own.
    """

    loss: tf.Tensor
    reported: dict[str, tf.Tensor]
    weight: tf.Tensor
    counts: dict[str, tf.Tensor]
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

    loss = LogLoss(s, y)
         + quantized_loss_weight . LogLoss(s_q, y)
         + ranking_loss(y, s, codes)
         + quantizer loss + regularization

    Until the quantizer has started, the codes do not mean anything: the second
    and third terms are 0 then, and no pass sees a quantized embedding.

    Attributes:
        quantizer: A `ResidualVectorQuantizer`, or None.
        ranking_loss: A groupwise loss, or None.
        quantized_loss_weight: Weight of the LogLoss of the second pass.
        quantization_dropout: Share of the rows that see the quantized embedding
            in the first pass.

    Source: arXiv:2506.12756, section 3 and equation 10.
    """

    quantizer: ResidualVectorQuantizer | None = None
    ranking_loss: GroupwiseLossBase | None = None
    quantized_loss_weight: float = 0.0
    quantization_dropout: float = 0.0

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
        labels: tf.Tensor,
        logits: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
        *,
        codes: UserCodes | None = None,
        quantized_logits: tf.Tensor | None = None,
        user_ids: tf.Tensor | None = None,
        regularization: tf.Tensor | float = 0.0,
        training: bool = False,
    ) -> ObjectiveTerms:
        """The objective of a batch.

        Args:
            labels: [batch] or [batch, 1], in [0, 1].
            logits: [batch] or [batch, 1], of the first pass.
            sample_weight: Optional [batch] or [batch, 1], at least 0.
            codes: What `quantize` returned; None without a quantizer.
            quantized_logits: [batch] or [batch, 1], of the second pass, if any;
                only with `codes`.
            user_ids: int [batch], for lists of users.
            regularization: Scalar to add: the ranker's own losses.
            training: Whether learned weights of levels may start.

        Raises:
            ValueError: There are `quantized_logits` without `codes`.
            ValueError or tf.errors.InvalidArgumentError: A label or a weight is out
                of range; see `hgr_tf.set_input_checks`.
        """
        labels, weights = flat_labels(labels, sample_weight, highest=1)
        log_loss = flat_log_loss(labels, flat_float(logits), weights)
        weight, per_weight = mean_weight(labels, weights)
        reported = {"log_loss": log_loss * per_weight}
        counts: dict[str, tf.Tensor] = {}
        spanning = None
        loss = log_loss + regularization
        shown = reported["log_loss"] + regularization
        if codes is not None:
            loss += codes.loss
            shown += codes.loss
        if quantized_logits is not None:
            if codes is None:
                raise ValueError(
                    "`codes` must be given with `quantized_logits`, got None"
                )
            second = flat_log_loss(labels, flat_float(quantized_logits), weights)
            second = self.quantized_loss_weight * codes.gate(second)
            loss += second
            shown += second * per_weight
        if self.ranking_loss is not None:
            output = self.ranking_loss.compute_flat(
                labels,
                flat_float(logits),
                weights,
                None if codes is None else codes.codes,
                user_ids,
                training=training,
                started=True if codes is None else codes.started,
            )
            ranking = output.loss if codes is None else codes.gate(output.loss)
            loss += ranking
            shown += ranking
            reported["ranking_loss"] = ranking
            reported["occupancy"] = output.occupancy[-1]
            counts["occupancy"] = weight if codes is None else codes.gate(weight)
            spanning = ranking if self.ranking_loss.global_batch else None
        reported = {"loss": shown, **reported}
        return ObjectiveTerms(loss, reported, weight, counts, spanning)
