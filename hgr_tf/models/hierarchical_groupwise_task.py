"""HierarchicalGroupwiseTask: the group-wise objective for models of TFRS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.losses import HierarchicalGroupwiseLoss
from hgr_tf.metrics.group_metric import GroupMetric
from hgr_tf.models.checks import check_quantizer, check_ranking_loss
from hgr_tf.models.objective import Objective

try:
    import tensorflow_recommenders as tfrs
except ImportError as error:
    raise ImportError(
        "HierarchicalGroupwiseTask needs tensorflow-recommenders, which needs Keras 2: "
        "pip install tensorflow-recommenders, and from TensorFlow 2.16 on set "
        "TF_USE_LEGACY_KERAS=1 before the first import of TensorFlow "
        "(pip install tf-keras)"
    ) from error


@tf.keras.utils.register_keras_serializable("hgr_tf")
class HierarchicalGroupwiseTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """A task of TFRS: LogLoss and group-wise losses, from a model's own tensors.

    loss = LogLoss(s, y) + ranking_loss(y, s, codes) + quantizer loss

    with the codes that the quantizer gives the user embeddings. Until the
    quantizer has started, only the LogLoss is trained. The model stays a plain
    `tfrs.Model`; for the quantized LogLoss, which runs the ranker a second time,
    see `HierarchicalGroupwiseRanker`.

    Args:
        quantizer: A `ResidualVectorQuantizer`.
        ranking_loss: A `HierarchicalGroupwiseLoss` of as many levels.
        ranking_metrics: Keras metrics of (labels, probabilities, sample_weight).
            Those by user, such as `GroupAUC`, are given the user ids too. TFRS
            asks each for its result at every step, and they then sort all rows so
            far: leave metrics out in training by compute_metrics=False.

    Call arguments:
        labels: [batch] or [batch, 1].
        logits: [batch] or [batch, 1].
        user_embeddings: [batch, dim].
        sample_weight: Optional [batch] or [batch, 1].
        user_ids: int [batch]; needed by a user level and by `GroupAUC`.
        training: Whether the codebooks learn; must be given.
        compute_metrics: Whether to update the metrics.

    Returns:
        float32 scalar.

    Raises:
        ImportError: On import, where tensorflow-recommenders does not work.
        ValueError: An argument is something else, the loss is of another number
            of levels, or `training` is not given.

    Example:
        >>> class Ranker(tfrs.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.user = tf.keras.layers.Embedding(1000, 16)
        ...         self.item = tf.keras.layers.Embedding(500, 16)
        ...         self.task = hgr_tf.models.HierarchicalGroupwiseTask(
        ...             hgr_tf.layers.ResidualVectorQuantizer(3, 8),
        ...             hgr_tf.losses.HierarchicalGroupwiseLoss(3),
        ...         )
        ...
        ...     def compute_loss(self, inputs, training=False):
        ...         user = self.user(inputs["user"])
        ...         logits = tf.reduce_sum(user * self.item(inputs["item"]), axis=1)
        ...         return self.task(inputs["click"], logits, user, training=training)

    Source: arXiv:2506.12756, section 3.
    """

    def __init__(
        self,
        quantizer: ResidualVectorQuantizer,
        ranking_loss: HierarchicalGroupwiseLoss,
        ranking_metrics: Iterable[tf.keras.metrics.Metric] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_ranking_loss(ranking_loss)
        check_quantizer(quantizer, ranking_loss)
        self.quantizer = quantizer
        self.ranking_loss = ranking_loss
        self.ranking_metrics = list(ranking_metrics)

    def call(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        user_embeddings: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
        user_ids: tf.Tensor | None = None,
        training: bool | None = None,
        compute_metrics: bool = True,
    ) -> tf.Tensor:
        """The loss; see the class."""
        if training is None:
            raise ValueError(
                "`training` must be given: the codebooks learn only with True, got None"
            )
        if compute_metrics:
            self._update_metrics(labels, logits, sample_weight, user_ids)
        objective = Objective(self.quantizer, self.ranking_loss)
        return objective.compute(
            labels,
            logits,
            sample_weight,
            codes=objective.quantize(user_embeddings, training=training),
            user_ids=user_ids,
            training=training,
        ).loss

    def _update_metrics(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        sample_weight: tf.Tensor | None,
        user_ids: tf.Tensor | None,
    ) -> None:
        probabilities = tf.sigmoid(tf.cast(logits, tf.float32))
        for metric in self.ranking_metrics:
            groups = {"groups": user_ids} if isinstance(metric, GroupMetric) else {}
            metric.update_state(labels, probabilities, sample_weight, **groups)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, the layers and metrics serialized."""
        serialize = tf.keras.utils.serialize_keras_object
        return {
            **super().get_config(),
            "quantizer": serialize(self.quantizer),
            "ranking_loss": serialize(self.ranking_loss),
            "ranking_metrics": [serialize(one) for one in self.ranking_metrics],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HierarchicalGroupwiseTask:
        """Makes the task from `get_config`."""
        deserialize = tf.keras.utils.deserialize_keras_object
        return cls(
            **{
                **config,
                "quantizer": deserialize(config["quantizer"]),
                "ranking_loss": deserialize(config["ranking_loss"]),
                "ranking_metrics": [deserialize(m) for m in config["ranking_metrics"]],
            }
        )
