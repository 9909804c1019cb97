"""Which split a row is in, and which negatives are kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureSpec, RandomSplit, TimeSplit, UserSplit
from pipelines.fields import id_field, time_field
from pipelines.fingerprint import text_fingerprints
from pipelines.randomness import mixed, random_words, uniform

UNDECIDED = -1
"""Split of rows that only a view of all rows of a user can decide."""


def splits_of(rows: pa.Table, spec: FeatureSpec, seed: int) -> np.ndarray:
    """`[n]` int8: index of each row's split among `spec.split.names`.

    By time, the number of starts at or before the row; by user, where the
    hash of the user falls among the fractions; at random, `UNDECIDED`.
    """
    split = spec.split
    if isinstance(split, TimeSplit):
        times = rows[time_field(spec).name].to_numpy()
        cuts = split.cuts(spec.time_unit)
        return np.searchsorted(cuts, times, side="right").astype(np.int8)
    if isinstance(split, UserSplit):
        users = user_words(rows, spec)
        return at_fractions(uniform(mixed(users, seed)), split.fractions)
    if isinstance(split, RandomSplit):
        return np.full(rows.num_rows, UNDECIDED, np.int8)
    return np.zeros(rows.num_rows, np.int8)


def at_fractions(quantiles: np.ndarray, fractions: dict[str, float]) -> np.ndarray:
    """`[n]` int8: which of the fractions, laid end to end, each quantile hits."""
    cuts = np.cumsum(list(fractions.values()))[:-1]
    return np.searchsorted(cuts, quantiles, side="right").astype(np.int8)


def user_words(rows: pa.Table, spec: FeatureSpec) -> np.ndarray:
    """`[n]` uint64: a hash of each row's user id."""
    return text_fingerprints(rows[id_field(spec, "user").name].combine_chunks())


def sample_negatives(
    targets: np.ndarray, rate: float, seed: int, words: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keeps every positive, and each negative with probability `rate`.

    Args:
        targets: `[n]` float32 targets.
        rate: In (0, 1].
        seed: Of the run.
        words: `[n]` uint64 that tell rows apart, the same on every run.

    Returns:
        `[n]` bool, whether a row is kept; `[n]` float32, what its weight is
        multiplied by: 1 / rate for negatives, so that weighted sums keep
        their expectation.
    """
    negative = targets == 0
    own = random_words(seed, "negatives", (), 1)  # apart from draws for other ends
    draws = uniform(mixed(words ^ own, seed))
    kept = ~negative | (draws < rate)
    return kept, np.where(negative, 1 / rate, 1).astype(np.float32)
