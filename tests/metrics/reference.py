"""Slow, obvious figures to compare the metrics with."""

import numpy as np
from sklearn.metrics import roc_auc_score


def slow_group_auc(labels, scores, groups, sample_weight):
    """A loop over the users, scikit-learn's AUC of each."""
    labels, scores, groups = (np.asarray(x) for x in (labels, scores, groups))
    weights = np.asarray(sample_weight, "float64")
    total = weight = 0.0
    for group in np.unique(groups):
        rows = (groups == group) & (weights > 0)
        if len(np.unique(labels[rows])) < 2:
            continue
        auc = roc_auc_score(labels[rows], scores[rows], sample_weight=weights[rows])
        total += weights[rows].sum() * auc
        weight += weights[rows].sum()
    return total / weight if weight else np.nan


def slow_calibration_error(labels, probabilities, bins):
    """A loop over the bins that the rows are in."""
    error = 0.0
    for index in np.unique(bins):
        rows = bins == index
        gap = probabilities[rows].mean(dtype="float64") - labels[rows].mean()
        error += rows.mean() * abs(gap)
    return error
