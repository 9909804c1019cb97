"""Slow, obvious numpy forms of the listwise losses."""

import numpy as np


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def log_sum_exp(values, weights):
    top = values.max()
    return top + np.log((weights * np.exp(values - top)).sum())


def softmax_ce(labels, logits, weights):
    mass = (weights * labels).sum()
    total = log_sum_exp(logits, weights)
    return mass, (weights * labels * (total - logits)).sum() / mass


def list_ce(labels, logits, weights):
    return softmax_ce(labels, log_sigmoid(logits), weights)


def jrc(labels, logits, weights):
    loss = 0.0
    for share, own in ((labels, logits / 2), (1 - labels, -logits / 2)):
        loss += (weights * share * (log_sum_exp(own, weights) - own)).sum()
    return weights.sum(), loss / weights.sum()


def pairwise_logistic(labels, logits, weights):
    loss = pairs = 0.0
    for i in range(len(labels)):
        for j in range(len(labels)):
            if labels[i] > labels[j]:
                pair = weights[i] * weights[j]
                pairs += pair
                loss += pair * np.logaddexp(0, logits[j] - logits[i])
    return (weights * labels).sum(), loss / pairs


LISTWISE = {
    "jrc": jrc,
    "list_ce": list_ce,
    "pairwise_logistic": pairwise_logistic,
    "softmax_ce": softmax_ce,
}


def level_loss(name, keys, labels, logits, weights, normalization="positive"):
    """Mean loss of the lists with two classes; samples of one key are a list."""
    labels, logits, weights = (np.float64(v) for v in (labels, logits, weights))
    numerator = denominator = 0.0
    for key in set(keys):
        rows = [i for i, k in enumerate(keys) if k == key and weights[i] > 0]
        if len(set(labels[rows])) < 2:
            continue
        targets, loss = LISTWISE[name](labels[rows], logits[rows], weights[rows])
        share = {"positive": targets, "list": 1.0, "sample": weights[rows].sum()}
        numerator += share[normalization] * loss
        denominator += share[normalization]
    return numerator / denominator if denominator else 0.0


def prefix_keys(codes, users=None):
    """For each level, the key of each sample's group."""
    codes = np.asarray(codes)
    levels = [[tuple(c[: n + 1]) for c in codes] for n in range(codes.shape[1])]
    if users is not None:
        pairs = zip(codes, users, strict=True)
        levels.append([(*code, user) for code, user in pairs])
    return levels
