"""The targets of rows, and which negatives are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.kernels.randomness import mixed, random_words, uniform
from hgr_tf.pipelines.rows.fields import (
    label_field,
)


class Targets(NamedTuple):
    """`[n]` float32 labels and, when the data has them, weights."""

    labels: np.ndarray
    weights: np.ndarray | None


def sample_negatives(
    targets: np.ndarray, rate: float, seed: int, words: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keeps every positive, and each negative with probability `rate`.

    Args:
        targets: `[n]` float32 targets.
        rate: In (0, 1].
        seed: Seed of the run.
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


def targets_of(rows: pa.Table, spec: FeatureSpec) -> np.ndarray:
    """`[n]` float32 targets: the raw label, or whether it reaches the threshold."""
    raw = rows[label_field(spec).name].to_numpy()
    threshold = spec.label.positive_at_least
    if threshold is None:
        return raw.astype(np.float32)
    return (raw >= np.float32(threshold)).astype(np.float32)
