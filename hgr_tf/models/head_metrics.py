"""HeadMetrics: the metrics that a model updates itself, for each of its heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from hgr_tf.metrics.group_metric import GroupMetric
from hgr_tf.models.heads import of_head


class HeadMetrics:
    """Metrics that a model updates itself: what Keras would not update as it must.

    For a single output these are metrics by user, which need user ids. For several
    heads it is every metric, a copy for each head. Keras does not find them in this
    object, so it neither saves them nor keeps those of an earlier `compile`.

    Args:
        by_head: Head -> its metrics.
        compiled: What `compile` was given of them.
    """

    def __init__(
        self,
        by_head: Mapping[str, Sequence[tf.keras.metrics.Metric]],
        compiled: Sequence[tf.keras.metrics.Metric] = (),
    ) -> None:
        self._by_head = by_head
        self.compiled = list(compiled)

    @classmethod
    def copied(
        cls, heads: Sequence[str], metrics: Sequence[tf.keras.metrics.Metric | str]
    ) -> HeadMetrics:
        """A copy of each metric for each head, with the head in its name.

        Raises:
            ValueError: One is no Keras metric, or cannot be made from its config.
        """
        copies = {head: [_copy(metric, head) for metric in metrics] for head in heads}
        return cls(copies, metrics)

    @property
    def all(self) -> list[tf.keras.metrics.Metric]:
        """The metrics of all heads."""
        return [metric for metrics in self._by_head.values() for metric in metrics]

    @property
    def need_users(self) -> bool:
        """Whether one needs user ids."""
        return any(isinstance(metric, GroupMetric) for metric in self.all)

    def update(
        self,
        head: str,
        columns: Sequence[tf.Tensor | None],
        training: bool,
        user_ids: tf.Tensor | None,
    ) -> None:
        """Adds the (labels, probabilities, weights) of a head's batch."""
        for metric in self._by_head[head]:
            if not isinstance(metric, GroupMetric):
                metric.update_state(*columns)
            elif not training:
                labels, probabilities, weights = columns
                metric.update_state(labels, probabilities, weights, groups=user_ids)


def _copy(metric: Any, head: str) -> tf.keras.metrics.Metric:
    if not isinstance(metric, tf.keras.metrics.Metric):
        raise ValueError(
            "`metrics` must be Keras metrics where a ranker has several heads, each of "
            f"which gets its own, got {metric!r}"
        )
    config = {**metric.get_config(), "name": of_head(head, metric.name)}
    try:
        return type(metric).from_config(config)
    except TypeError as error:
        raise ValueError(
            "`metrics` must be such as can be made from their config with another "
            f"`name`, so that each head gets its own, got {metric.name!r} ({error})"
        ) from error
