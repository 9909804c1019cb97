"""Figures of predictions in memory: what every row of a report is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.stats
from sklearn.metrics import roc_auc_score

ECE_BINS = 15
NDCG_AT = 10
_EPSILON = 1e-7


class Predictions(NamedTuple):
    """What a run says of the rows of a split.

    Attributes:
        users: [rows] int64.
        labels: [rows] float64 in [0, 1].
        weights: [rows] float64.
        probabilities: [rows] float64.
    """

    users: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    probabilities: np.ndarray


class UserSums(NamedTuple):
    """A figure taken apart by user: it is sum(totals) / sum(weights).

    Attributes:
        users: [users], ascending.
        totals: [users] float64.
        weights: [users] float64.
    """

    users: np.ndarray
    totals: np.ndarray
    weights: np.ndarray


def figures(predictions: Predictions) -> dict[str, float]:
    """GAUC, AUC, NDCG, LogLoss, PCOC and ECE; NaN where one is not defined."""
    _, labels, weights, probabilities = predictions
    positive = labels > 0
    both = (weights[positive].sum() > 0) and (weights[~positive].sum() > 0)
    observed = np.dot(weights, labels)
    return {
        "gauc": mean_of(gauc_by_user(predictions)),
        "auc": roc_auc_score(positive, probabilities, sample_weight=weights)
        if both
        else np.nan,
        f"ndcg_{NDCG_AT}": ndcg(predictions),
        "log_loss": mean_of(log_loss_by_user(predictions)),
        "pcoc": np.dot(weights, probabilities) / observed if observed else np.nan,
        "ece": calibration_error(predictions),
    }


def mean_of(sums: UserSums) -> float:
    """The figure itself."""
    weight = sums.weights.sum()
    return float(sums.totals.sum() / weight) if weight else float("nan")


def log_losses(predictions: Predictions) -> np.ndarray:
    """[rows] LogLoss of each row."""
    p = np.clip(predictions.probabilities, _EPSILON, 1 - _EPSILON)
    return -predictions.labels * np.log(p) - (1 - predictions.labels) * np.log1p(-p)


def log_loss_by_user(predictions: Predictions) -> UserSums:
    """LogLoss by user: weighted losses, and weights."""
    users, position = np.unique(predictions.users, return_inverse=True)
    weights = predictions.weights
    totals = np.bincount(position, weights * log_losses(predictions), len(users))
    return UserSums(users, totals, np.bincount(position, weights, len(users)))


def gauc_by_user(predictions: Predictions) -> UserSums:
    """GAUC by user: AUC times weight, and weight; users of one class weigh 0."""
    users, position = np.unique(predictions.users, return_inverse=True)
    order = np.lexsort((predictions.probabilities, position))
    group = position[order]
    score = predictions.probabilities[order]
    weight = predictions.weights[order]
    positive = predictions.labels[order] > 0
    changes = np.diff(group, prepend=-1) != 0
    tie_starts = np.flatnonzero(changes | (np.diff(score, prepend=np.nan) != 0))
    tie_group = group[tie_starts]
    positives = np.add.reduceat(weight * positive, tie_starts)
    negatives = np.add.reduceat(weight * ~positive, tie_starts)
    total_p = np.bincount(tie_group, positives, len(users))
    total_n = np.bincount(tie_group, negatives, len(users))
    below = np.cumsum(negatives) - negatives
    before_group = np.concatenate([[0.0], np.cumsum(total_n)[:-1]])
    below -= before_group[tie_group]
    wins = np.bincount(tie_group, positives * (below + negatives / 2), len(users))
    pairs = total_p * total_n
    auc = np.divide(wins, pairs, out=np.zeros(len(users)), where=pairs > 0)
    weights = np.where(pairs > 0, total_p + total_n, 0.0)
    return UserSums(users, auc * weights, weights)


BY_USER: dict[str, Callable[[Predictions], UserSums]] = {
    "gauc": gauc_by_user,
    "log_loss": log_loss_by_user,
}
"""The figures that methods are compared by."""


def ndcg(predictions: Predictions, k: int = NDCG_AT) -> float:
    """Mean over users with a positive of NDCG@k: see `ndcg_by_user`."""
    return mean_of(ndcg_by_user(predictions, k))


def ndcg_by_user(predictions: Predictions, k: int = NDCG_AT) -> UserSums:
    """NDCG@k by user: gains y, discounts 1/log2(1+rank); users without gain weigh 0.

    Rows of equal scores share the mean gain of their ranks, as in scikit-learn.
    """
    users, position = np.unique(predictions.users, return_inverse=True)
    gains = np.where(predictions.weights > 0, predictions.labels, 0.0)
    ideal = _dcg(position, gains, gains, len(users), k)
    found = _dcg(position, predictions.probabilities, gains, len(users), k)
    has_positive = ideal > 0
    share = np.divide(found, ideal, out=np.zeros(len(users)), where=has_positive)
    return UserSums(users, share, has_positive.astype(float))


def _dcg(
    group: np.ndarray, scores: np.ndarray, gains: np.ndarray, num_groups: int, k: int
) -> np.ndarray:
    order = np.lexsort((-scores, group))
    sorted_group = group[order]
    starts = np.flatnonzero(np.diff(sorted_group, prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    discount = np.where(rank < k, 1 / np.log2(rank + 2.0), 0.0)
    sorted_scores = scores[order]
    tie = np.cumsum(
        (np.diff(sorted_group, prepend=-1) != 0)
        | (np.diff(sorted_scores, prepend=np.nan) != 0)
    )
    count = np.bincount(tie)
    mean_discount = np.bincount(tie, discount) / np.maximum(count, 1)
    return np.bincount(sorted_group, gains[order] * mean_discount[tie], num_groups)


def calibration_error(predictions: Predictions, bins: int = ECE_BINS) -> float:
    """ECE over bins of equal width: sum of |observed - predicted| weight shares."""
    _, labels, weights, p = predictions
    if not weights.sum():
        return float("nan")
    at = np.minimum((p * bins).astype(int), bins - 1)
    gaps = np.bincount(at, weights * (labels - p), bins)
    return float(np.abs(gaps).sum() / weights.sum())


def by_activity(predictions: Predictions, parts: int = 5) -> list[dict[str, float]]:
    """Figures of users by their number of rows among the predictions, fewest first.

    Returns:
        A dict for each part: "rows_from", "rows_to" of a user, "users", "rows",
        "gauc", "log_loss".
    """
    users, position, count = np.unique(
        predictions.users, return_inverse=True, return_counts=True
    )
    part = (scipy.stats.rankdata(count, "ordinal") - 1) * parts // len(users)
    found = []
    for index in range(parts):
        inside = (part == index)[position]
        if not inside.any():
            continue
        rows = Predictions(*(column[inside] for column in predictions))
        own = count[part == index]
        found.append(
            {
                "rows_from": int(own.min()),
                "rows_to": int(own.max()),
                "users": len(own),
                "rows": int(inside.sum()),
                "gauc": mean_of(gauc_by_user(rows)),
                "log_loss": mean_of(log_loss_by_user(rows)),
            }
        )
    return found


def reliability(predictions: Predictions, bins: int = 10) -> list[dict[str, float]]:
    """Predicted and observed rates in bins of equal weight."""
    order = np.argsort(predictions.probabilities, kind="stable")
    weight = predictions.weights[order]
    share = (np.cumsum(weight) - weight / 2) / max(weight.sum(), 1e-12)
    at = np.minimum((share * bins).astype(int), bins - 1)
    total = np.bincount(at, weight, bins)
    p = np.bincount(at, weight * predictions.probabilities[order], bins)
    y = np.bincount(at, weight * predictions.labels[order], bins)
    return [
        {"predicted": float(a / n), "observed": float(b / n), "weight": float(n)}
        for a, b, n in zip(p, y, total, strict=True)
        if n > 0
    ]
