"""What the groupwise losses share: inputs, replicas, weighting of levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.distribute import gather_over_replicas, gather_with_gradient
from hgr_tf.flat_inputs import flat_float, flat_labels
from hgr_tf.groups import Groups, NestedLists
from hgr_tf.layers.uncertainty_weighting import UncertaintyWeighting
from hgr_tf.losses.level_losses import level_losses
from hgr_tf.losses.list_shares import NORMALIZATIONS, Normalization
from hgr_tf.losses.listwise_loss import Listwise, ListwiseLoss, needs_of
from hgr_tf.losses.resolve_listwise import resolve_listwise

LevelWeights: TypeAlias = (
    float | Sequence[float] | Literal["uncertainty"] | UncertaintyWeighting
)
"""A total, one weight for each level, or learned ones."""


class GroupwiseLossOutput(NamedTuple):
    """A groupwise loss with what it is made of; levels shallowest first.

    Attributes:
        loss: float32 scalar.
        level_losses: float32 [levels], unweighted.
        occupancy: float32 [levels]. Share of the samples, by weight, that are
            in a list with two classes.
    """

    loss: tf.Tensor
    level_losses: tf.Tensor
    occupancy: tf.Tensor


class GroupwiseLossBase(tf.keras.layers.Layer):
    """A listwise loss over nested groups of a flat batch.

    Subclasses say how a batch is grouped, and whether `by_user`.

    Args:
        num_levels: Number of levels, the user level included.
        listwise: See `HierarchicalGroupwiseLoss`.
        level_weights: See `HierarchicalGroupwiseLoss`.
        normalization: "positive", "list" or "sample".
        global_batch: See `HierarchicalGroupwiseLoss`.
    """

    def __init__(
        self,
        num_levels: int,
        listwise: Listwise | Sequence[Listwise],
        level_weights: LevelWeights,
        normalization: Normalization,
        global_batch: bool,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**{"autocast": False, **kwargs})
        check_choice("normalization", normalization, NORMALIZATIONS)
        self.listwise = listwise
        self.level_weights = level_weights
        self.normalization = normalization
        self.global_batch = global_batch
        each = listwise if isinstance(listwise, list | tuple) else [listwise]
        if each is listwise and len(each) != num_levels:
            raise ValueError(
                f"`listwise` must be one loss or {num_levels}, got {len(each)}"
            )
        # A loss that several levels share is computed once.
        losses = _resolve_each(each)
        self._losses_of_levels = losses
        self._fixed_weights, self._uncertainty = None, None
        if isinstance(level_weights, str):
            check_choice("level_weights", level_weights, ("uncertainty",))
            self._uncertainty = UncertaintyWeighting(num_levels)
        elif isinstance(level_weights, UncertaintyWeighting):
            self._uncertainty = level_weights
        else:
            self._fixed_weights = _fixed_weights(level_weights, num_levels)
        if self._uncertainty is not None:
            if self._uncertainty.num_losses != num_levels:
                raise ValueError(
                    f"`level_weights` must weigh {num_levels} levels, "
                    f"got {self._uncertainty.num_losses}"
                )
            if self.may_be_negative:
                raise ValueError(
                    "`level_weights` must be fixed with a loss that may be negative, "
                    "as those of tensorflow-ranking; got 'uncertainty'"
                )
        self.built = True

    @property
    def may_be_negative(self) -> bool:
        """Whether the loss of a level may be below 0; its weight cannot be learned."""
        losses = self._losses_of_levels
        return any(needs_of(loss).fixed_level_weights for loss in losses)

    def call(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        codes: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        user_ids: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """The weighted sum of the level losses, a float32 scalar."""
        return self.compute(
            labels, logits, codes, sample_weight, user_ids, training
        ).loss

    def compute(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        codes: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        user_ids: tf.Tensor | None = None,
        training: bool = False,
        started: tf.Tensor | bool = True,
    ) -> GroupwiseLossOutput:
        """The loss with its levels and their occupancy.

        Takes what `call` takes, and `started`, a bool: uncertainty weights wait
        for it, as codes mean nothing before their quantizer has started.

        Returns:
            A `GroupwiseLossOutput`.
        """
        labels, weights = flat_labels(labels, sample_weight)
        return self.compute_flat(
            labels, flat_float(logits), weights, codes, user_ids, training, started
        )

    def compute_flat(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        weights: tf.Tensor | None = None,
        codes: tf.Tensor | None = None,
        user_ids: tf.Tensor | None = None,
        training: bool = False,
        started: tf.Tensor | bool = True,
    ) -> GroupwiseLossOutput:
        """`compute` of rows that `hgr_tf.flat_inputs` has flattened and masked."""
        if self.global_batch:
            labels, weights, codes, user_ids = (
                None if values is None else gather_over_replicas(values)
                for values in (labels, weights, codes, user_ids)
            )
            logits = gather_with_gradient(logits)
        if weights is not None and self._uncertainty is not None:
            weights = _weights_of_no_scale(labels, weights)
        lists = NestedLists(self._group(labels, codes, user_ids), weights)
        computed = {
            loss: level_losses(loss, lists, labels, logits, self.normalization)
            for loss in dict.fromkeys(self._losses_of_levels)
        }
        losses, occupancy = computed[self._losses_of_levels[0]]
        if len(computed) > 1:
            of_levels = enumerate(self._losses_of_levels)
            losses = tf.stack([computed[loss][0][level] for level, loss in of_levels])
        return GroupwiseLossOutput(
            loss=self._weigh(losses, occupancy, started, training),
            level_losses=losses,
            occupancy=occupancy,
        )

    def _group(
        self, labels: tf.Tensor, codes: tf.Tensor | None, user_ids: tf.Tensor | None
    ) -> Groups:
        raise NotImplementedError

    def _weigh(
        self,
        losses: tf.Tensor,
        occupancy: tf.Tensor,
        started: tf.Tensor | bool,
        training: bool,
    ) -> tf.Tensor:
        if self._uncertainty is None:
            return tf.tensordot(losses, tf.constant(self._fixed_weights), 1)
        return self._uncertainty(
            losses, occupancy > 0, started=started, training=training
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments that all groupwise losses take."""
        weights = self.level_weights
        if isinstance(weights, UncertaintyWeighting):
            weights = tf.keras.utils.serialize_keras_object(weights)
        elif not isinstance(weights, str):
            weights = np.asarray(weights).tolist()
        return {
            **super().get_config(),
            "listwise": _serialized(self.listwise),
            "level_weights": weights,
            "normalization": self.normalization,
            "global_batch": self.global_batch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GroupwiseLossBase:
        """Makes the loss from `get_config`, serialized or not."""

        def plain(item: Any) -> Any:
            if isinstance(item, dict):
                return tf.keras.utils.deserialize_keras_object(item)
            return item

        listwise = config["listwise"]
        several = isinstance(listwise, list | tuple)
        listwise = [plain(item) for item in listwise] if several else plain(listwise)
        weights = plain(config["level_weights"])
        return cls(**{**config, "listwise": listwise, "level_weights": weights})


def _resolve_each(listwise: Sequence[Any]) -> tuple[ListwiseLoss, ...]:
    resolved = {}
    keys = [item if isinstance(item, str) else id(item) for item in listwise]
    for key, item in zip(keys, listwise, strict=True):
        if key not in resolved:
            resolved[key] = resolve_listwise(item)
    return tuple(resolved[key] for key in keys)


def _serialized(listwise: Listwise | Sequence[Listwise]) -> Any:
    if isinstance(listwise, list | tuple):
        return [_serialized(item) for item in listwise]
    if isinstance(listwise, str):
        return listwise
    return tf.keras.utils.serialize_keras_object(listwise)


def _weights_of_no_scale(labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weights over the geometric mean of those of the positives.

    Weights of another scale move no gradient of a level's loss, but add the
    scale's logarithm to its value, which learned weights of levels go by.
    """
    targets = labels * weights
    logs = tf.math.multiply_no_nan(tf.math.log(weights), targets)
    total = tf.reduce_sum(targets)
    return weights * tf.exp(-tf.math.divide_no_nan(tf.reduce_sum(logs), total))


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises `ValueError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}, got {value!r}")


def _fixed_weights(
    level_weights: float | Sequence[float], num_levels: int
) -> np.ndarray:
    weights = np.asarray(level_weights, np.float32)
    if weights.ndim == 0:
        weights = np.full(num_levels, weights / num_levels, np.float32)
    is_valid = (weights >= 0) & np.isfinite(weights)
    if weights.shape != (num_levels,) or not is_valid.all():
        raise ValueError(
            "`level_weights` must be 'uncertainty', a finite total of at least 0, or "
            f"{num_levels} such weights, got {level_weights!r}"
        )
    return weights
