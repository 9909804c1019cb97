"""The targets of rows, their weights, and which negatives are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import FeatureSpec, Label
from hgr_tf.pipelines.kernels.randomness import mixed, random_words, uniform
from hgr_tf.pipelines.rows.fields import label_field, weight_fields


class Targets(NamedTuple):
    """`[n]` float32 labels and, where the data has them, weights, by their keys."""

    labels: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]

    def take(self, at: np.ndarray) -> Targets:
        """The targets of some rows."""
        return Targets(*({k: v[at] for k, v in part.items()} for part in self))


def sample_negatives(
    negative: np.ndarray, rate: float, seed: int, words: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keeps every positive, and each negative with probability `rate`.

    Args:
        negative: `[n]` bool: rows where the target of every label is 0.
        rate: In (0, 1].
        seed: Seed of the run.
        words: `[n]` uint64 that tell rows apart, the same on every run.

    Returns:
        `[n]` bool, whether a row is kept; `[n]` float32, what its weight is
        multiplied by: 1 / rate for negatives, so that weighted sums keep
        their expectation.
    """
    own = random_words(seed, "negatives", (), 1)  # apart from draws for other ends
    draws = uniform(mixed(words ^ own, seed))
    kept = ~negative | (draws < rate)
    return kept, np.where(negative, 1 / rate, 1).astype(np.float32)


def targets_of(rows: pa.Table, spec: FeatureSpec) -> Targets:
    """The targets and weights of checked rows, before negatives are sampled.

    A label's own weight that is missing, as it may be where the label is not defined,
    is 1.
    """
    labels = {key: target_of(rows, lab) for key, lab in spec.label_keys().items()}
    fields = weight_fields(spec)
    ones = np.ones(rows.num_rows, np.float32)
    weights = {
        key: pc.fill_null(rows[fields[key].name], 1).to_numpy()
        if key in fields
        else ones
        for key in spec.weight_keys()
    }
    return Targets(labels, weights)


def target_of(rows: pa.Table, label: Label) -> np.ndarray:
    """`[n]` float32 targets: the raw label, or whether it reaches the threshold.

    A label that is missing, as it may be where it is not defined, is 0.
    """
    values = rows[label_field(label).name].combine_chunks()
    raw = pc.fill_null(values, 0).to_numpy(False)
    threshold = label.positive_at_least
    if threshold is None:
        return raw
    reached = raw >= np.float32(threshold)
    return (reached & values.is_valid().to_numpy(False)).astype(np.float32)


def positives_of(rows: pa.Table, spec: FeatureSpec) -> np.ndarray:
    """`[n]` uint64: which labels are positive, a bit for each."""
    bits = np.zeros(rows.num_rows, np.uint64)
    for place, label in enumerate(spec.all_labels.values()):
        positive = (target_of(rows, label) > 0).astype(np.uint64)
        bits |= positive << np.uint64(place)
    return bits
