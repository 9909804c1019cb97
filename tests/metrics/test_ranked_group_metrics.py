"""NDCG, MRR and hit rate by user: exact, as the figures of `hgr-tf evaluate` are."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.comparing.figures import Predictions, mean_of, ndcg_by_user
from hgr_tf.comparing.first_positive import hit_rate_by_user, mrr_by_user
from hgr_tf.metrics import GroupHitRate, GroupMRR, GroupNDCG
from hgr_tf.testing import two_replicas
from hgr_tf.testing.replicas import run_on_halves

METRICS = {
    "ndcg_1": (lambda: GroupNDCG(1), lambda rows: ndcg_by_user(rows, 1)),
    "ndcg_3": (lambda: GroupNDCG(3), lambda rows: ndcg_by_user(rows, 3)),
    "mrr": (GroupMRR, mrr_by_user),
    "hit_rate_1": (lambda: GroupHitRate(1), lambda rows: hit_rate_by_user(rows, 1)),
    "hit_rate_2": (lambda: GroupHitRate(2), lambda rows: hit_rate_by_user(rows, 2)),
}
every_metric = pytest.mark.parametrize("name", METRICS)


def random_rows(seed, size=400, graded=False):
    """Few scores, so that rows tie; users without a positive, and rows of weight 0."""
    random = np.random.default_rng(seed)
    users = random.integers(0, 60, size) * 2**40
    labels = np.float32(random.random(size) < 0.2)
    if graded:
        labels *= np.float32(random.integers(1, 4, size))
    scores = np.float32(random.integers(0, 12, size) / 4)
    return users, labels, np.float32(random.integers(0, 3, size)), scores


def expected(name, rows):
    kept = rows[2] > 0
    return mean_of(METRICS[name][1](Predictions(*(column[kept] for column in rows))))


@every_metric
@pytest.mark.parametrize("cuts", [(), (1, 7, 250)])
def test_stream_equals_the_figures_of_all_rows(name, cuts):
    rows = random_rows(seed=len(cuts), graded=name.startswith("ndcg"))
    metric = METRICS[name][0]()
    assert metric.name == name
    parts = zip(*(np.split(column, cuts) for column in rows), strict=True)
    for users, labels, weights, scores in parts:
        metric.update_state(labels, scores, weights, groups=users)
    assert float(metric.result()) == pytest.approx(expected(name, rows), abs=1e-6)
    again = type(metric).from_config(metric.get_config())
    assert again.name == name and np.isnan(again.result())


def test_replicas_see_the_rows_of_all():
    rows = random_rows(seed=5)
    strategy = two_replicas()
    with strategy.scope():
        metrics = {name: make() for name, (make, _) in METRICS.items()}

    def update(users, labels, weights, scores):
        for metric in metrics.values():
            metric.update_state(labels, scores, weights, groups=users)
        return tf.constant(0)

    inputs = tuple(map(tf.convert_to_tensor, rows))
    run_on_halves(strategy, lambda part: update(*part), inputs)
    for name, metric in metrics.items():
        assert float(metric.result()) == pytest.approx(expected(name, rows), abs=1e-6)


@every_metric
def test_a_row_of_weight_0_takes_no_rank(name):
    metric = METRICS[name][0]()
    labels, scores, weights = [1, 0, 0], [0.5, 0.9, 0.1], [1, 0, 1]
    metric.update_state(labels, scores, weights, groups=[7, 7, 7])
    assert float(metric.result()) == 1.0


@every_metric
def test_without_a_positive_or_with_nan_it_is_undefined(name):
    metric = METRICS[name][0]()
    metric.update_state([0, 0], [0.5, 0.9], groups=[7, 8])
    assert np.isnan(metric.result())
    metric.update_state([1, 0], [np.nan, 0.9], groups=[7, 8])
    assert np.isnan(metric.result())


@pytest.mark.parametrize("make", [GroupNDCG, GroupHitRate])
def test_k_must_be_positive(make):
    with pytest.raises(ValueError, match="`k` must be an int of at least 1, got 0"):
        make(0)
