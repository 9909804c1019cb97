"""One test over all metrics: what weights mean, and what is undefined."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf import metrics
from hgr_tf.compat import Mean

RANDOM = np.random.default_rng(4)
ROWS = 40
USERS = RANDOM.integers(0, 4, ROWS)
LABELS = np.float32(RANDOM.random(ROWS) < 0.4)
SCORES = np.float32(RANDOM.random(ROWS))
CODES = RANDOM.integers(0, 3, [ROWS, 2])
EMBEDDINGS = np.float32(RANDOM.normal(size=[ROWS, 3]))

OF_LABELS = (LABELS, SCORES)
CASES = {
    "AreaUnderCurve": (metrics.AreaUnderCurve, OF_LABELS, {}),
    "CodebookUsage": (lambda: metrics.CodebookUsage(3), (CODES,), {}),
    "ExpectedCalibrationError": (metrics.ExpectedCalibrationError, OF_LABELS, {}),
    "GroupAUC": (metrics.GroupAUC, OF_LABELS, {"groups": USERS}),
    "GroupOccupancy": (lambda: metrics.GroupOccupancy(2), (LABELS, CODES), {}),
    "Mean": (lambda: Mean("mean"), (SCORES,), {}),
    "Perplexity": (lambda: metrics.Perplexity(3), (CODES,), {}),
    "PredictedOverObserved": (metrics.PredictedOverObserved, OF_LABELS, {}),
    "QuantizationError": (
        lambda: metrics.QuantizationError(relative=True),
        (EMBEDDINGS, EMBEDDINGS[::-1]),
        {},
    ),
    "equal_mass": (
        lambda: metrics.ExpectedCalibrationError(binning="equal_mass"),
        OF_LABELS,
        {},
    ),
}
# A weight above 0 only says that a row is there, or there is none.
RANKED = {"GroupHitRate", "GroupMRR", "GroupNDCG"}
UNWEIGHTED = {"ExpiredCodes", "group_auc"} | RANKED
every_metric = pytest.mark.parametrize("name", CASES)


def value(name, rows=slice(None), weights=None):
    make, values, keywords = CASES[name]
    metric = make()
    keywords = {key: column[rows] for key, column in keywords.items()}
    metric.update_state(*(v[rows] for v in values), sample_weight=weights, **keywords)
    return float(metric.result())


def test_every_metric_is_here():
    assert set(metrics.__all__) <= set(CASES) | UNWEIGHTED


@every_metric
def test_all_weights_times_ten_change_nothing(name):
    weights = np.float32(RANDOM.integers(1, 4, ROWS))
    one, ten = value(name, weights=weights), value(name, weights=10 * weights)
    assert one == pytest.approx(ten, rel=1e-5)


@every_metric
def test_weight_two_equals_the_row_twice(name):
    times = RANDOM.integers(1, 3, ROWS)
    repeated = np.repeat(np.arange(ROWS), times)
    weighted = value(name, weights=np.float32(times))
    assert weighted == pytest.approx(value(name, repeated), rel=1e-5)


@every_metric
def test_weight_zero_equals_no_row(name):
    kept = RANDOM.random(ROWS) < 0.6
    weighted = value(name, weights=np.float32(kept))
    assert weighted == pytest.approx(value(name, kept), rel=1e-5)


@every_metric
def test_a_weightless_batch_leaves_a_metric_undefined(name):
    found = value(name, weights=np.zeros(ROWS, np.float32))
    # No codeword was used, which is a share of 0.
    assert found == 0 if name == "CodebookUsage" else np.isnan(found)


@pytest.mark.parametrize("name", ["AreaUnderCurve", "GroupAUC"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_area_of_one_class_is_undefined(name, label):
    assert np.isnan(value(name, label == LABELS))


def test_ratio_without_a_positive_is_undefined():
    assert np.isnan(value("PredictedOverObserved", LABELS == 0))


def test_weightless_rows_may_hold_anything():
    for make in (
        metrics.PredictedOverObserved,
        metrics.ExpectedCalibrationError,
        metrics.GroupAUC,
    ):
        keywords = {"groups": [1, 1, 1]} if make is metrics.GroupAUC else {}
        metric = make()
        metric.update_state(
            [1, 0, np.nan], [0.9, 0.4, np.nan], sample_weight=[1, 1, 0], **keywords
        )
        assert np.isfinite(metric.result())


def test_a_curve_equals_that_of_keras_where_it_is_defined():
    keras_own = tf.keras.metrics.AUC(num_thresholds=1000)
    keras_own.update_state(LABELS, SCORES)
    assert value("AreaUnderCurve") == float(keras_own.result())
