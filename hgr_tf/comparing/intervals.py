"""Figures of rows with bootstrap intervals over users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hgr_tf.comparing.figures import (
    ECE_BINS,
    NDCG_AT,
    Predictions,
    UserSums,
    figures,
    gauc_by_user,
    log_loss_by_user,
    mean_of,
    ndcg_by_user,
)
from hgr_tf.comparing.first_positive import hit_rate_by_user, mrr_by_user

CONFIDENCE = 0.95
RESAMPLES = 200


class Estimate(NamedTuple):
    """A figure and its 95% interval, the quantiles of a bootstrap over users.

    Attributes:
        value: The figure; NaN where it is not defined.
        low: Lower end; NaN with fewer than two users.
        high: Upper end; NaN with fewer than two users.
    """

    value: float
    low: float
    high: float


def estimates(
    predictions: Predictions,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    ks: Sequence[int] = (NDCG_AT,),
) -> dict[str, Estimate]:
    """Every figure of some rows, with an interval over users.

    Users are drawn with replacement, with all of their rows.

    Args:
        predictions: The rows.
        seed: Seed of the draws.
        resamples: Number of draws.
        ks: How many of a user's first rows NDCG and hit rates look at.

    Returns:
        "gauc", "auc", "ndcg_<k>" of each k, "mrr", "hit_rate_<k>" of each k,
        "log_loss", "pcoc" and "ece", each an `Estimate`.
    """
    by_user = {
        "gauc": gauc_by_user(predictions),
        **{f"ndcg_{k}": ndcg_by_user(predictions, k) for k in ks},
        "mrr": mrr_by_user(predictions),
        **{f"hit_rate_{k}": hit_rate_by_user(predictions, k) for k in ks},
        "log_loss": log_loss_by_user(predictions),
        "pcoc": _pcoc_by_user(predictions),
    }
    values = figures(predictions)
    values |= {name: mean_of(sums) for name, sums in by_user.items()}
    draw: dict[str, Callable[[np.ndarray], float]] = {
        name: _ratio(sums) for name, sums in by_user.items()
    }
    draw |= {"auc": _auc(predictions), "ece": _ece(predictions)}
    users = len(np.unique(predictions.users))
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in draw}
    for _ in range(resamples if users > 1 else 0):
        times = np.bincount(rng.integers(users, size=users), minlength=users)
        for name, figure in draw.items():
            drawn[name].append(figure(times))
    return {
        name: Estimate(float(values[name]), *_ends(np.array(drawn[name])))
        for name in ("gauc", "auc", *list(by_user)[1:], "ece")
    }


def _ends(drawn: np.ndarray) -> tuple[float, float]:
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _ratio(sums: UserSums) -> Callable[[np.ndarray], float]:
    def figure(times: np.ndarray) -> float:
        weight = np.dot(times, sums.weights)
        return np.dot(times, sums.totals) / weight if weight else np.nan

    return figure


def _pcoc_by_user(predictions: Predictions) -> UserSums:
    users, position = np.unique(predictions.users, return_inverse=True)
    _, labels, weights, p = predictions
    return UserSums(
        users,
        np.bincount(position, weights * p, len(users)),
        np.bincount(position, weights * labels, len(users)),
    )


def _ece(predictions: Predictions) -> Callable[[np.ndarray], float]:
    users, position = np.unique(predictions.users, return_inverse=True)
    _, labels, weights, p = predictions
    cell = position * ECE_BINS + np.minimum((p * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(cell, weights * (labels - p), len(users) * ECE_BINS)
    gaps = gaps.reshape(len(users), ECE_BINS)
    total = np.bincount(position, weights, len(users))

    def figure(times: np.ndarray) -> float:
        weight = np.dot(times, total)
        return np.abs(times @ gaps).sum() / weight if weight else np.nan

    return figure


def _auc(predictions: Predictions) -> Callable[[np.ndarray], float]:
    _, position = np.unique(predictions.users, return_inverse=True)
    _, level = np.unique(predictions.probabilities, return_inverse=True)
    positive = predictions.labels > 0

    def figure(times: np.ndarray) -> float:
        weights = predictions.weights * times[position]
        positives = np.bincount(level, weights * positive)
        negatives = np.bincount(level, weights * ~positive)
        below = np.cumsum(negatives) - negatives
        pairs = positives.sum() * negatives.sum()
        return np.dot(positives, below + negatives / 2) / pairs if pairs else np.nan

    return figure
