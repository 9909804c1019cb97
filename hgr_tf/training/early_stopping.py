"""Early stopping: which epoch was best, and whether a metric can say so at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hgr_tf.features import USER
from hgr_tf.metrics import group_auc
from hgr_tf.models.heads import ONE_OUTPUT, of_head
from hgr_tf.training.config import EarlyStopping
from hgr_tf.training.one_head import only_head


class UndefinedMetricError(ValueError):
    """Early stopping goes by a metric that the validation split does not define."""


def check_defined(
    stopping: EarlyStopping | None,
    batches: Iterable[Any],
    split: str,
    heads: Sequence[str] = ONE_OUTPUT,
    given: Mapping[str, str] | None = None,
) -> None:
    """Refuses a validation split on which the metric would be undefined.

    It reads labels, weights and user ids until they prove that the metric is
    defined, which the first batch mostly does.

    Args:
        stopping: When to stop early; None is always fine, and so is a metric of the
            user's own, of which nothing is known before training.
        batches: The (inputs, labels[, sample_weight]) of the split.
        split: Its name.
        heads: Names of the ranker's heads.
        given: Head -> the head whose label must be positive for a row to count.

    Raises:
        UndefinedMetricError: No batch proved it.
        ValueError: The metric is of no head.
    """
    if stopping is None:
        return
    if stopping.head not in heads:
        named = [of_head(head, stopping.name) for head in heads]
        raise ValueError(
            f"`early_stopping.metric` must be one of {named}, got {stopping.metric!r}"
        )
    if stopping.name not in _NEEDS:
        return
    rows: list[np.ndarray] = []
    for inputs, labels, *weights in only_head(batches, stopping.head, heads, given):
        labels = np.asarray(labels).reshape(-1)
        weight = np.asarray(weights[0] if weights else np.ones(len(labels))).reshape(-1)
        users = np.asarray(inputs[USER]).reshape(-1)
        batch = np.empty(len(labels), [("positive", bool), ("user", users.dtype)])
        batch["positive"], batch["user"] = labels > 0, users
        rows.append(np.unique(batch[weight > 0]))
        rows = [np.unique(np.concatenate(rows))]
        if _is_defined(stopping.name, rows[0]):
            return
    raise UndefinedMetricError(
        f"`early_stopping.metric` must be defined on the validation split, got "
        f"{stopping.metric!r} where {split!r} has no {_NEEDS[stopping.name]}"
    )


_NEEDS = {
    "gauc": "user with a positive and a negative of weight above 0",
    "auc": "positive and negative of weight above 0",
    "log_loss": "row of weight above 0",
}


def _is_defined(metric: str, rows: np.ndarray) -> bool:
    if metric == "log_loss":
        return len(rows) > 0
    users = rows["user"] if metric == "gauc" else np.zeros(len(rows))
    return not math.isnan(group_auc(rows["positive"], np.zeros(len(rows)), users))


def best_epoch(history: list[dict[str, float]], stopping: EarlyStopping) -> int:
    """Index of the first epoch with the best validation metric.

    Raises:
        UndefinedMetricError: The metric of an epoch is NaN.
    """
    values = [stopping.sign * epoch[f"val_{stopping.metric}"] for epoch in history]
    for number, value in enumerate(values, start=1):
        if math.isnan(value):
            raise UndefinedMetricError(
                f"`early_stopping.metric` must be defined in every epoch, got "
                f"val_{stopping.metric} = NaN in epoch {number}"
            )
    return values.index(max(values))


def should_stop(
    history: list[dict[str, float]], stopping: EarlyStopping | None
) -> bool:
    """Whether the last `patience` epochs brought nothing better."""
    if not stopping or not history:
        return False
    return len(history) - 1 - best_epoch(history, stopping) >= stopping.patience
