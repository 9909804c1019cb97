"""GAUC of arrays in memory, without TensorFlow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def group_auc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    r"""GAUC: the impression-weighted mean of each group's own AUC.

    $$
    \mathrm{AUC}_g = \frac{\sum_{i \in g^+} \sum_{j \in g^-} w_i w_j
      (1[s_i > s_j] + \tfrac{1}{2} 1[s_i = s_j])}{W^+_g W^-_g},
    \qquad
    \mathrm{GAUC} = \frac{\sum_g (W^+_g + W^-_g) \mathrm{AUC}_g}
      {\sum_g (W^+_g + W^-_g)}
    $$

    over the groups (users) with a positive and a negative of non-zero weight,
    where $W^+_g$ and $W^-_g$ sum the weights of a group's positives and
    negatives. Exact: one sort, no thresholds. `hgr_tf.metrics.GroupAUC` computes
    the same figure over a stream of batches.

    Args:
        labels: [rows], at least 0; a row is a positive where its label is above 0.
        scores: [rows] float; only their order within a group matters.
        groups: [rows]; usually the user ids, of any sortable dtype.
        sample_weight: [rows], at least 0; None weighs each row 1.

    Returns:
        A float in [0, 1]; NaN, undefined, when no group has both classes, and when
        a score is NaN.

    Raises:
        ValueError: If the arrays differ in length, or a label or weight is negative.

    Example:
        >>> group_auc([1, 0, 1, 0], [0.9, 0.1, 0.3, 0.7], [7, 7, 8, 8])
        0.5

    Source: Zhu et al., "Optimized Cost per Click in Taobao Display Advertising",
    KDD 2017, arXiv:1703.02091 (GAUC).
    """
    return _group_auc(*_columns(labels, scores, groups, sample_weight))


def _group_auc(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> float:
    if not len(scores):
        return float("nan")
    if np.isnan(scores).any():
        return float("nan")
    order = np.lexsort((scores, groups))
    scores, groups, weights = scores[order], groups[order], weights[order]
    positive = labels[order] > 0

    # Rows of one group with one score tie; the sums run over ties, then groups.
    starts_group = _differs_from_previous(groups)
    ties = np.flatnonzero(starts_group | _differs_from_previous(scores))
    first_ties = np.flatnonzero(starts_group[ties])
    ties_per_group = np.diff(first_ties, append=len(ties))
    positives = np.add.reduceat(weights * positive, ties)
    negatives = np.add.reduceat(weights * ~positive, ties)
    below = np.cumsum(negatives) - negatives
    below -= np.repeat(below[first_ties], ties_per_group)

    wins = np.add.reduceat(positives * (below + 0.5 * negatives), first_ties)
    positives = np.add.reduceat(positives, first_ties)
    negatives = np.add.reduceat(negatives, first_ties)
    pairs = positives * negatives
    both = pairs > 0
    if not both.any():
        return float("nan")
    auc = wins[both] / pairs[both]
    return float(np.average(auc, weights=(positives + negatives)[both]))


def _columns(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    columns = [np.asarray(column).reshape(-1) for column in (labels, scores, groups)]
    weights = np.ones(len(columns[1]))
    if sample_weight is not None:
        weights = np.asarray(sample_weight, "float64").reshape(-1)
    columns.append(weights)
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(
            "`labels`, `scores`, `groups` and `sample_weight` must have one length, "
            f"got {lengths}."
        )
    counts = weights != 0  # rows of weight 0 are as if they were not there
    kept = [column[counts] for column in columns]
    for name, column in (("sample_weight", kept[3]), ("labels", kept[0])):
        if not (column >= 0).all():
            raise ValueError(f"`{name}` must be at least 0, got {column.min()}.")
    return kept[0], kept[1], kept[2], kept[3]


def _differs_from_previous(column: np.ndarray) -> np.ndarray:
    return np.concatenate(([True], column[1:] != column[:-1]))
