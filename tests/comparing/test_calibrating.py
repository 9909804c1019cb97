import numpy as np
import pytest
from scipy.special import expit

from hgr_tf.calibration.calibration import CalibrationError
from hgr_tf.comparing.calibrating import (
    check_by,
    deal_halves,
    fit,
    fit_isotonic,
    fit_per_slice,
    fit_platt,
    platt,
)
from hgr_tf.comparing.figures import Predictions
from tests.prepared import ENCODING


def shifted(rows=40_000, users=400, seed=0, slope=1.0, shift=0.8):
    """Rows whose true logits are slope * logit - shift."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1, rows)
    labels = rng.random(rows) < expit(slope * logits - shift)
    return Predictions(
        rng.integers(users, size=rows),
        labels.astype(float),
        rng.integers(1, 4, rows).astype(float),
        expit(logits),
    )


def test_platt_finds_the_line_and_the_mean_holds_exactly_where_it_was_fitted():
    rows = shifted(slope=0.5)
    found = fit_platt(rows)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(-0.8, abs=0.05)
    p = expit(
        found.slope * np.log(rows.probabilities / (1 - rows.probabilities))
        + found.intercept
    )
    observed = np.dot(rows.weights, rows.labels)
    assert np.dot(rows.weights, p) / observed == pytest.approx(1, abs=1e-4)


def test_platt_takes_labels_that_are_shares():
    rows = shifted()
    shares = rows._replace(
        labels=expit(0.5 * np.log(rows.probabilities / (1 - rows.probabilities)) - 0.8)
    )
    found = fit_platt(shares)
    assert (found.slope, found.intercept) == pytest.approx((0.5, -0.8), abs=1e-3)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_the_other_half_is_calibrated_to_under_a_hundredth(method):
    found = fit(shifted(rows=100_000), {}, ENCODING, method, "val")
    assert found.before.ece > 0.08 and found.after.ece < 0.01
    assert found.after.pcoc == pytest.approx(1, abs=0.03)
    assert found.fitted_rows + found.measured_rows == 100_000
    assert found.halves == "users"


def test_platt_keeps_gauc_and_auc_and_isotonic_reports_its_ties():
    rows = shifted()
    line = fit(rows, {}, ENCODING, "platt", "val")
    assert line.after.gauc == pytest.approx(line.before.gauc, abs=1e-9)
    assert line.after.auc == pytest.approx(line.before.auc, abs=1e-9)
    steps = fit(rows, {}, ENCODING, "isotonic", "val")
    assert steps.before.tied < 0.05 < 0.5 < steps.after.tied
    assert steps.after.auc == pytest.approx(steps.before.auc, abs=0.01)


def test_scales_of_slices_mend_what_one_scale_cannot():
    rows = shifted()
    ids = np.arange(40_000) % 4 + 1
    odd = ids % 2 == 1
    logits = np.log(rows.probabilities / (1 - rows.probabilities))
    rows = rows._replace(probabilities=expit(np.where(odd, logits + 1, logits - 1)))
    one = fit(rows, {}, ENCODING, "platt", "val")
    each = fit(rows, {"device": ids}, ENCODING, "per-slice", "val")
    assert each.after.log_loss < one.after.log_loss - 0.01
    assert {scale.id for scale in each.function.slices} == {1, 2, 3, 4}
    assert each.function.slices[0].value.startswith("id ")


def test_a_slice_with_few_rows_or_a_falling_line_has_no_scale_of_its_own():
    rows = shifted(rows=4000)
    ids = np.where(np.arange(4000) < 30, 1, 2)
    falling = (np.arange(4000) % 9 == 0) & (ids == 2)
    ids[falling] = 3
    labels = np.where(falling, 1 - (rows.probabilities > 0.2), rows.labels)
    found = fit_per_slice(rows._replace(labels=labels), ids, "device", ENCODING)
    assert [scale.id for scale in found.slices] == [2]


def test_halves_are_of_users_and_of_rows_where_there_are_few_users():
    users = np.arange(1000) % 50
    what, fitting = deal_halves(users, seed=3)
    assert what == "users" and fitting.sum() == 500
    assert not set(users[fitting]) & set(users[~fitting])
    assert (deal_halves(users, seed=3)[1] == fitting).all()
    assert (deal_halves(users, seed=4)[1] != fitting).any()
    what, fitting = deal_halves(users % 3)
    assert what == "rows" and fitting.sum() == 500


def test_labels_of_one_class_or_that_fall_are_refused():
    rows = shifted(rows=1000)
    for fit_one in (fit_platt, fit_isotonic):
        with pytest.raises(CalibrationError, match="positives and negatives"):
            fit_one(rows._replace(labels=np.zeros(1000)))
    upside_down = rows._replace(labels=1 - (rows.probabilities > 0.3))
    with pytest.raises(CalibrationError, match="got a slope of -"):
        fit_platt(upside_down)
    before, after = platt(upside_down)
    assert (before.probabilities == after.probabilities).all()


@pytest.mark.parametrize(
    ("by", "method", "message"),
    [
        ("device", "platt", "--by must go with the method 'per-slice', got platt"),
        (None, "per-slice", r"one category per row \(user, age, item, device\), got N"),
        ("tags", "per-slice", "got 'tags'"),
        ("price", "per-slice", "got 'price'"),
        ("nation", "per-slice", "got 'nation'"),
    ],
)
def test_what_cannot_be_calibrated_by_is_one_line(by, method, message):
    with pytest.raises(ValueError, match=message):
        check_by(by, method, ENCODING)
