"""Paired differences of methods to a baseline, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
from statsmodels.stats.multitest import multipletests

from hgr_tf.comparing.figures import UserSums, mean_of

CONFIDENCE = 0.95
RESAMPLES = 1000


class Difference(NamedTuple):
    """How much a method's figure differs from the baseline's.

    Attributes:
        mean: Mean over the seeds of the paired differences.
        by_seed: The difference of each seed.
        users_error: Standard error over users, by bootstrap.
        seeds_error: Standard error over seeds; NaN with one seed.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p_value: Of "no difference", corrected for the number of methods (Holm).
    """

    mean: float
    by_seed: tuple[float, ...]
    users_error: float
    seeds_error: float
    low: float
    high: float
    p_value: float

    @property
    def error(self) -> float:
        """Standard error of the mean: of users and of seeds together."""
        return float(np.hypot(self.users_error, self.seeds_error))


def differences(
    figures: Mapping[str, Sequence[UserSums]], baseline: str, seed: int = 0
) -> dict[str, Difference]:
    """Compares every method with the baseline, seed by seed and user by user.

    The interval is mean ± t * sqrt(users_error^2 + seeds_error^2), with the
    quantile t of Student's distribution for one seed fewer than there are, at 95%
    divided among the methods (Bonferroni); p-values are corrected by Holm. With
    one seed there is no interval: both ends are NaN.

    Args:
        figures: For each method the figure of each seed taken apart by user, seeds
            in the same order, the same users everywhere.
        baseline: Name of the method to compare with.
        seed: Seed of the bootstrap.

    Returns:
        A `Difference` for each method but the baseline.

    Raises:
        ValueError: Methods differ in seeds or users.
    """
    others = [name for name in figures if name != baseline]
    found = {
        name: _paired(figures[name], figures[baseline], len(others), seed)
        for name in others
    }
    raw = np.array([one.p_value for one in found.values()])
    known = np.isfinite(raw)
    corrected = np.full(len(raw), np.nan)
    if known.any():
        corrected[known] = multipletests(raw[known], method="holm")[1]
    return {
        name: one._replace(p_value=float(p))
        for (name, one), p in zip(found.items(), corrected, strict=True)
    }


def _paired(
    method: Sequence[UserSums],
    baseline: Sequence[UserSums],
    num_methods: int,
    seed: int,
) -> Difference:
    if len(method) != len(baseline):
        raise ValueError(
            f"methods must have the same seeds, got {len(method)} and {len(baseline)}"
        )
    by_seed = []
    for one, other in zip(method, baseline, strict=True):
        if not np.array_equal(one.users, other.users):
            raise ValueError("methods must be evaluated on the same users")
        by_seed.append(mean_of(one) - mean_of(other))
    mean = float(np.mean(by_seed))
    users_error = _users_error(method, baseline, seed)
    count = len(by_seed)
    if count < 2:
        nan = float("nan")
        return Difference(mean, tuple(by_seed), users_error, nan, nan, nan, nan)
    seeds_error = float(np.std(by_seed, ddof=1) / np.sqrt(count))
    error = np.hypot(users_error, seeds_error)
    student = scipy.stats.t(count - 1)
    reach = student.ppf(1 - (1 - CONFIDENCE) / 2 / num_methods) * error
    p_value = 2 * student.sf(abs(mean) / error) if error else float(mean == 0)
    return Difference(
        mean,
        tuple(by_seed),
        users_error,
        seeds_error,
        float(mean - reach),
        float(mean + reach),
        float(p_value),
    )


def _users_error(
    method: Sequence[UserSums], baseline: Sequence[UserSums], seed: int
) -> float:
    """Standard error of the mean difference when users are drawn again."""
    # Weights of a user differ between seeds only where a run has none: take means.
    weights = np.mean([one.weights for one in baseline], axis=0)
    totals = np.mean(
        [one.totals - two.totals for one, two in zip(method, baseline, strict=True)],
        axis=0,
    )
    used = weights > 0
    weights, totals = weights[used], totals[used]
    if len(weights) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    drawn = np.empty(RESAMPLES)
    users = len(weights)
    for index in range(RESAMPLES):
        times = np.bincount(rng.integers(users, size=users), minlength=users)
        drawn[index] = np.dot(times, totals) / np.dot(times, weights)
    return float(drawn.std(ddof=1))
