from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from hgr_tf.comparing.calibrating import platt
from hgr_tf.comparing.figures import (
    Predictions,
    by_activity,
    calibration_error,
    figures,
    gauc_by_user,
    log_loss_by_user,
    mean_of,
    ndcg,
    reliability,
)
from hgr_tf.metrics import group_auc


def predictions(seed=0, rows=400, users=30, ties=False):
    rng = np.random.default_rng(seed)
    p = rng.random(rows)
    if ties:
        p = np.round(p, 1)
    return Predictions(
        rng.integers(users, size=rows),
        (rng.random(rows) < p).astype(float),
        rng.integers(0, 3, rows).astype(float),
        p,
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.booleans())
def test_gauc_by_user_sums_up_to_the_metric(seed, ties):
    rows = predictions(seed, rows=60, users=8, ties=ties)
    users, labels, weights, p = rows
    expected = group_auc(labels, p, users, weights)
    found = mean_of(gauc_by_user(rows))
    assert found == pytest.approx(expected, abs=1e-12) or not expected


def test_figures_equal_scikit_learns():
    rows = predictions()
    _, labels, weights, p = rows
    found = figures(rows)
    assert found["log_loss"] == pytest.approx(
        log_loss(labels, p, sample_weight=weights)
    )
    assert found["auc"] == pytest.approx(
        roc_auc_score(labels, p, sample_weight=weights)
    )
    assert found["pcoc"] == pytest.approx((weights @ p) / (weights @ labels))
    assert mean_of(log_loss_by_user(rows)) == pytest.approx(found["log_loss"])


@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_equals_scikit_learns_mean_over_users_with_a_positive(ties):
    rows = predictions(ties=ties)._replace(weights=np.ones(400))
    expected = [
        ndcg_score([rows.labels[own]], [rows.probabilities[own]], k=10)
        for user in np.unique(rows.users)
        if rows.labels[own := rows.users == user].any()
    ]
    assert ndcg(rows) == pytest.approx(np.mean(expected))


def test_what_is_not_defined_is_nan():
    rows = predictions()
    found = figures(rows._replace(labels=np.zeros(400)))
    assert np.isnan([found[name] for name in ("gauc", "auc", "ndcg_10", "pcoc")]).all()
    weightless = rows._replace(weights=np.zeros(400))
    assert np.isnan(figures(weightless)["log_loss"])
    assert np.isnan(calibration_error(weightless))


def test_platt_scaling_mends_a_shift_on_rows_that_did_not_fit_it():
    rows = predictions(rows=5000, users=200)._replace(weights=np.ones(5000))
    odds = rows.probabilities / (1 - rows.probabilities) * 3
    before, after = platt(rows._replace(probabilities=odds / (1 + odds)))
    assert figures(after)["ece"] < figures(before)["ece"] / 2
    assert figures(after)["gauc"] == pytest.approx(figures(before)["gauc"])
    assert len(np.unique(before.users)) == 100


def test_users_are_parted_by_activity_into_fifths():
    parts = by_activity(predictions(rows=900, users=50))
    assert [part["users"] for part in parts] == [10] * 5
    assert sum(part["rows"] for part in parts) == 900
    assert all(a["rows_to"] <= b["rows_from"] for a, b in pairwise(parts))


def test_reliability_bins_hold_equal_weight():
    bins = reliability(predictions()._replace(weights=np.ones(400)))
    assert [one["weight"] for one in bins] == [40.0] * 10
    assert all(a["predicted"] < b["predicted"] for a, b in pairwise(bins))
