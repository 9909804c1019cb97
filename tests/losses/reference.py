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


def gains(labels):
    return 2.0**labels - 1


def discounts(ranks):
    return 1 / np.log2(1 + ranks)


def first_discounts(mass):
    whole = int(mass)
    return discounts(np.arange(1, whole + 1)).sum() + (mass - whole) * discounts(
        whole + 1
    )


def approx_ndcg(labels, logits, weights, temperature=0.1):
    dcg = best = 0.0
    for i in range(len(labels)):
        rank = 1 + max(weights[i] - 1, 0) / 2
        for j in range(len(labels)):
            if i != j:
                gap = (logits[j] - logits[i]) / temperature
                rank += weights[j] * np.exp(log_sigmoid(gap))
        dcg += weights[i] * gains(labels[i]) * discounts(rank)
    before = 0.0
    for i in np.argsort(-labels, kind="stable"):
        after = before + weights[i]
        given = first_discounts(after) - first_discounts(before)
        best += gains(labels[i]) * given
        before = after
    return (weights * labels).sum(), 1 - dcg / best


def list_mle(labels, logits, weights):
    loss = choices = 0.0
    for i in range(len(labels)):
        lower = labels < labels[i]
        if lower.any():
            values = np.append(logits[lower] - logits[i], 0.0)
            loss += weights[i] * log_sum_exp(values, np.append(weights[lower], 1.0))
            choices += weights[i]
    return (weights * labels).sum(), loss / choices


def ranks(labels, logits, weights):
    """Ranks by logit; of equal ones, the lower label first."""
    found = []
    for i in range(len(labels)):
        rank = 1 + max(weights[i] - 1, 0) / 2
        for j in range(len(labels)):
            if (-logits[j], labels[j]) < (-logits[i], labels[i]):
                rank += weights[j]
            elif j != i and (logits[j], labels[j]) == (logits[i], labels[i]):
                rank += weights[j] / 2
        found.append(rank)
    return np.array(found)


def lambda_loss(labels, logits, weights):
    # No gradient flows through the ranks: `level_loss` may rank by other logits.
    logits, ranked_by = logits if logits.ndim == 2 else (logits, logits)
    discount = discounts(ranks(labels, ranked_by, weights))
    loss = pairs = 0.0
    for i in range(len(labels)):
        for j in range(len(labels)):
            if labels[i] > labels[j]:
                change = (gains(labels[i]) - gains(labels[j])) * np.abs(
                    discount[i] - discount[j]
                )
                pair = weights[i] * weights[j] * change
                pairs += pair
                loss += pair * np.logaddexp(0, logits[j] - logits[i])
    return (weights * labels).sum(), loss / pairs


LISTWISE = {
    "approx_ndcg": approx_ndcg,
    "lambda_loss": lambda_loss,
    "list_mle": list_mle,
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
        targets, loss = LISTWISE[name](labels[rows], logits[..., rows], weights[rows])
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
