"""MRR and hit rate: how far down a user's ranked rows the first positive is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.stats

from hgr_tf.comparing.figures import Predictions, UserSums


class _BestPositive(NamedTuple):
    """By user: where the best positive is. Users without one have 0 positives.

    Attributes:
        users: [users], ascending.
        above: [users] rows with a higher score.
        tied: [users] rows with its score, itself included.
        positives: [users] positives among the tied.
    """

    users: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    positives: np.ndarray


def mrr_by_user(predictions: Predictions) -> UserSums:
    """Reciprocal rank of the first positive by user; users without one weigh 0.

    Of t rows that tie for it with m positives, the first positive is taken to be the
    (t + 1) / (m + 1)-th: its mean place over all orders of the tied rows.
    """
    best = _best_positive(predictions)
    has_positive = best.positives > 0
    rank = best.above + (best.tied + 1) / (best.positives + 1)
    return UserSums(
        best.users, np.where(has_positive, 1 / rank, 0.0), has_positive.astype(float)
    )


def hit_rate_by_user(predictions: Predictions, k: int) -> UserSums:
    """Whether a positive is among the first k rows; users without one weigh 0.

    Where rows tie across rank k it is the share of the orders of the tied rows in
    which one is.
    """
    best = _best_positive(predictions)
    has_positive = best.positives > 0
    places = np.clip(k - best.above, 0, best.tied)
    hits = scipy.stats.hypergeom.sf(0, best.tied, best.positives, places)
    return UserSums(
        best.users, np.where(has_positive, hits, 0.0), has_positive.astype(float)
    )


def _best_positive(predictions: Predictions) -> _BestPositive:
    users, position = np.unique(predictions.users, return_inverse=True)
    counted = predictions.weights > 0
    positive = counted & (predictions.labels > 0)
    scores = predictions.probabilities
    best = np.full(len(users), -np.inf)
    np.maximum.at(best, position[positive], scores[positive])

    def count(rows: np.ndarray) -> np.ndarray:
        return np.bincount(position[rows], minlength=len(users))

    own = best[position]
    tied = counted & (scores == own)
    return _BestPositive(
        users, count(counted & (scores > own)), count(tied), count(tied & positive)
    )
