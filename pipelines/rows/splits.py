"""Which split a row is in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureSpec, RandomSplit, TimeSplit, UserSplit
from hgr_tf.features.fingerprint import text_fingerprints
from hgr_tf.pipelines.kernels.randomness import mixed, uniform
from hgr_tf.pipelines.rows.fields import id_field, moment_field

UNDECIDED = -1
"""Split of rows that only a view of all rows of a user can decide."""


def splits_of(rows: pa.Table, spec: FeatureSpec, seed: int) -> np.ndarray:
    """`[n]` int8: index of each row's split among `spec.split.names`.

    By time, the number of starts at or before the row; by user, where the
    hash of the user falls among the fractions; at random, `UNDECIDED`.
    """
    split = spec.split
    if isinstance(split, TimeSplit):
        times = rows[moment_field(spec).name].to_numpy()
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


def random_splits(
    column: Mapping[str, np.ndarray], group: np.ndarray, split: RandomSplit, seed: int
) -> np.ndarray:
    """`[n]` int8: splits at random, in proportion for each user and label.

    The distinct rows of a user with one label, or the same labels positive, are put
    in random order and laid evenly over [0, 1) from a random start; the fractions cut
    that interval. Equal rows go where the first of them goes.
    """
    distinct, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    user = column["user"][first]
    stratum = mixed(user + column["positives"][first], seed)
    order = np.lexsort((mixed(column["first"][first], seed), stratum))
    _, start, size = np.unique(stratum[order], return_index=True, return_counts=True)
    rank = np.empty(len(distinct))
    rank[order] = np.arange(len(distinct)) - np.repeat(start, size)
    length = np.empty(len(distinct))
    length[order] = np.repeat(size, size)
    quantile = (rank + uniform(mixed(stratum, seed + 1))) / length
    return at_fractions(quantile, split.fractions)[inverse]
