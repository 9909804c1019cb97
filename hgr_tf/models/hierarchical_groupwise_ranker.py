"""HierarchicalGroupwiseRanker: trains a ranker with a quantizer beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from hgr_tf.compat import gradients_of, take_inputs_of, takes_summed_gradients
from hgr_tf.distribute import is_replicated, sum_gradients, sum_over_replicas
from hgr_tf.features.keys import USER
from hgr_tf.functional.graph import Inputs, is_functional, own_inputs
from hgr_tf.layers import ResidualVectorQuantizer, UncertaintyWeighting
from hgr_tf.models.batch_parts import (
    Gradients,
    add_gradients,
    after,
    num_rows,
    split_batch,
)
from hgr_tf.models.checks import check_heads, check_objective, check_ranker
from hgr_tf.models.head_objective import reported_log_losses
from hgr_tf.models.heads import ONE_OUTPUT, ByHead, heads_of, logits_of, targets_of
from hgr_tf.models.layer_configs import deserialized, serialized
from hgr_tf.models.objective import (
    HeadWeights,
    Objective,
    ObjectiveTerms,
    RankingLoss,
)
from hgr_tf.models.quantized_passes import build_quantizer, run_passes
from hgr_tf.models.ranker_halves import RankerHalves, offers_halves
from hgr_tf.models.reporting_model import ReportingModel
from hgr_tf.models.user_ids import find_user_ids

_ARGUMENTS = (
    "name",
    "ranker",
    "user_embedding",
    "quantizer",
    "ranking_loss",
    "quantized_loss_weight",
    "quantization_dropout",
    "user_id",
    "from_logits",
    "unique_users",
    "gradient_accumulation",
)


@tf.keras.utils.register_keras_serializable("hgr_tf")
class HierarchicalGroupwiseRanker(ReportingModel):
    """Trains any ranker with hierarchical group-wise losses.

    loss = LogLoss(s, y)
         + quantized_loss_weight . LogLoss(s_q, y)
         + ranking_loss(y, s, codes)
         + quantizer loss + the ranker's own regularization

    s are the ranker's logits; codes come from quantizing its user embedding e;
    s_q are the logits of a second pass with the quantized embedding e_q in the
    place of e; layers that do not depend on e run once for both passes, dropout
    and all. With `quantization_dropout` instead, a random share of the rows
    sees e_q in the one pass. Until the quantizer has started, only the LogLoss
    is trained.

    `ranker` is trained in place: it alone predicts, and is what is exported.
    Without quantizer and ranking loss this is the plain LogLoss baseline.

    A ranker with a dict of outputs has several heads, such as "click" and "purchase".
    Labels and weights are then dicts too; the loss is the weighted sum of those of
    the heads, which share the codes, and figures are called "click/gauc".

    Args:
        ranker: A functional Keras model with one output, [batch] or
            [batch, 1], or a dict of them; or any Keras model that offers the two
            halves itself: embed_users(inputs, training) -> [batch, dim] and
            rank(inputs, user_embeddings, training) -> [batch, 1].
        user_embedding: For a functional ranker with a quantizer, the name of
            the layer that makes the user embedding.
        quantizer: A `ResidualVectorQuantizer`, or None.
        ranking_loss: A `HierarchicalGroupwiseLoss` (needs the quantizer), a
            `GroupwiseBaselineLoss`, or None; with several heads a dict with one
            for each head that shall have one.
        quantized_loss_weight: Weight of the second pass's LogLoss; at 0 there
            is no second pass.
        quantization_dropout: Share of the rows that see e_q in the one pass.
        user_id: Key of the inputs that holds the int user ids, for user-level
            lists and `GroupAUC`, which need inputs that are a dict. Not given to
            the ranker unless it asks for it.
        from_logits: Whether the ranker's output is logits or probabilities.
        unique_users: Quantize each user of a batch once. Pays where users
            repeat in a batch and codebooks are large; not under XLA.
        gradient_accumulation: Parts that a training batch is computed in, one after
            the other, before the one update. LogLosses are those of the whole batch;
            lists, and what a quantizer learns at a time, are those of a part.
        head_weights: Weights of several heads, 1 for those that it does not name;
            "uncertainty" to learn them, or a `hgr_tf.layers.UncertaintyWeighting`.
        given: Head -> another head whose label must be positive: other rows neither
            train nor judge the first, such as {"purchase": "click"}.

    Raises:
        ValueError: An argument is something else, or arguments do not go together.

    Example:
        >>> model = hgr_tf.HierarchicalGroupwiseRanker(
        ...     ranker,
        ...     user_embedding="user_embedding",
        ...     quantizer=hgr_tf.layers.ResidualVectorQuantizer(3, 8),
        ...     ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(3),
        ...     quantization_dropout=0.25,
        ... )
        >>> model.compile("adam", metrics=[hgr_tf.metrics.GroupAUC()])
        >>> model.fit(dataset)  # (inputs, labels[, sample_weight])
        >>> model.ranker  # trained

    Source: arXiv:2506.12756, section 3 and equation 10.
    """

    def __init__(
        self,
        ranker: tf.keras.Model,
        user_embedding: str | None = None,
        quantizer: ResidualVectorQuantizer | None = None,
        ranking_loss: RankingLoss = None,
        quantized_loss_weight: float = 0.0,
        quantization_dropout: float = 0.0,
        user_id: str = USER,
        from_logits: bool = True,
        unique_users: bool = False,
        gradient_accumulation: int = 1,
        head_weights: HeadWeights = None,
        given: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if gradient_accumulation < 1:
            raise ValueError(
                "`gradient_accumulation` must be at least 1, "
                f"got {gradient_accumulation}"
            )
        self.ranker = ranker
        self.user_embedding = user_embedding
        self.quantizer = quantizer
        self.ranking_loss = ranking_loss
        self.quantized_loss_weight = quantized_loss_weight
        self.quantization_dropout = quantization_dropout
        self.user_id = user_id
        self.from_logits = from_logits
        self.unique_users = unique_users
        self.gradient_accumulation = gradient_accumulation
        self.head_weights = head_weights
        self.given = given
        check_ranker(ranker, from_logits)
        check_heads(self.heads, ranking_loss, head_weights, given)
        learns = head_weights == "uncertainty"
        self._weighting = UncertaintyWeighting(len(self.heads)) if learns else None
        check_objective(self.objective)
        self._was_called = False
        self._halves: RankerHalves | None = None
        if quantizer is not None and not offers_halves(ranker):
            self._halves = RankerHalves(ranker, user_embedding)
            build_quantizer(quantizer, self._halves.embedding_dim)
        self.add_trackers(*self.objective.tracked(self.heads))
        self.built = True
        if is_functional(ranker):
            take_inputs_of(self, ranker)

    # -- Prediction ---------------------------------------------------------

    def call(self, inputs: Inputs, training: bool = False) -> ByHead:
        """The ranker's own output."""
        self._was_called = True
        return self.ranker(own_inputs(self.ranker, inputs), training=training)

    def logits(self, outputs: ByHead) -> ByHead:
        """The ranker's outputs as float32 logits [batch]."""
        return logits_of(outputs, self.from_logits, self.heads)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the ranker's outputs; that of a single one is empty."""
        return heads_of(self.ranker)

    def evaluation_weights(self) -> dict[str, float]:
        """Head -> the weight of its LogLoss in an evaluation; 1 while it is learned."""
        return self.objective.fixed_weights(self.heads)

    def unpack(self, batch: tuple[Any, ...]) -> tuple[Inputs, ByHead, ByHead]:
        """Inputs, labels and weights of a batch, each head's where it is `given`."""
        inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(batch)
        return inputs, *targets_of(labels, weights, self.heads, self.given)

    # -- Training -----------------------------------------------------------

    @property
    def objective(self) -> Objective:
        """What is trained."""
        weights = self.head_weights
        return Objective(
            self.quantizer,
            self.ranking_loss,
            self.quantized_loss_weight,
            self.quantization_dropout,
            self._weighting if isinstance(weights, str) else weights,
        )

    def train_step(self, data: tuple[Inputs, ...]) -> dict[str, tf.Tensor]:
        """One step on (inputs, labels[, sample_weight])."""
        total = sum_over_replicas(num_rows(data))
        gradients: Gradients = []
        results: dict[str, tf.Tensor] = {}
        for part in split_batch(data, self.gradient_accumulation):
            found, results = self._learn_from(after(gradients, part), total)
            gradients = add_gradients(gradients, found) if gradients else found
        self._apply(gradients)
        return results

    def _apply(self, gradients: Gradients) -> None:
        variables = self.trainable_variables
        if is_replicated() and takes_summed_gradients(self.optimizer):
            pairs = zip(sum_gradients(gradients, variables), variables, strict=True)
            self.optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
        else:
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _learn_from(
        self, part: tuple[Inputs, ...], total: tf.Tensor
    ) -> tuple[Gradients, dict[str, tf.Tensor]]:
        """Gradients of a part's share of the loss of `total` rows, and the metrics."""
        inputs, labels, weights = self.unpack(part)
        with tf.GradientTape() as tape:
            logits, terms = self._forward(inputs, labels, weights)
            loss = terms.share_of(num_rows(part), total)
        gradients = gradients_of(self.optimizer, loss, tape, self.trainable_variables)
        self.track(terms.reported)
        return gradients, self.update_metrics(labels, logits, weights, training=True)

    def test_step(self, data: tuple[Inputs, ...]) -> dict[str, tf.Tensor]:
        """Evaluates a batch; its loss is the LogLoss of the ranker."""
        inputs, labels, weights = self.unpack(data)
        logits = self.logits(self(inputs, training=False))
        self.track(reported_log_losses(labels, logits, weights))
        users = self._user_ids(inputs) if self._own_metrics.need_users else None
        return self.update_metrics(
            labels, logits, weights, training=False, user_ids=users
        )

    def _forward(
        self, inputs: Inputs, labels: ByHead, weights: ByHead
    ) -> tuple[ByHead, ObjectiveTerms]:
        """Logits [batch] and the terms of the objective."""
        users, objective, codes = self._user_ids(inputs), self.objective, None
        if self.quantizer is None:
            outputs, quantized = self(inputs, training=True), None
        else:
            self._begin_call(inputs)
            halves = self._halves or self.ranker
            distinct = users if self.unique_users else None
            outputs, quantized, codes = run_passes(
                halves, objective, self.quantizer, inputs, distinct
            )
        quantized_logits = None if quantized is None else self.logits(quantized)
        logits = self.logits(outputs)
        terms = objective.compute(
            labels,
            logits,
            weights,
            codes=codes,
            quantized_logits=quantized_logits,
            user_ids=users,
            regularization=_sum(self.losses),
            training=True,
        )
        return logits, terms

    def _begin_call(self, inputs: Inputs) -> None:
        """Does what calling the ranker does and calling its halves does not."""
        if self._halves is None and not self._was_called:
            # Keras saves only models that were called: it needs their shapes.
            self(inputs)
        # The losses of other calls, such as an evaluation's, are not this one's.
        self._clear_losses()

    def _user_ids(self, inputs: Inputs) -> tf.Tensor | None:
        needed = self._own_metrics.need_users or self.objective.needs_users
        return find_user_ids(inputs, self.user_id, needed)

    # -- Serialization ------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, the layers serialized."""
        several = () if self.heads == ONE_OUTPUT else ("head_weights", "given")
        return {
            name: serialized(getattr(self, name)) for name in (*_ARGUMENTS, *several)
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> HierarchicalGroupwiseRanker:
        """Makes the model from `get_config`."""
        return cls(**deserialized(config, custom_objects))


def _sum(losses: Iterable[tf.Tensor]) -> tf.Tensor | float:
    return tf.add_n([tf.cast(loss, tf.float32) for loss in losses]) if losses else 0.0
