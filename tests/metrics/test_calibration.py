import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hgr_tf.metrics import ExpectedCalibrationError, PredictedOverObserved
from tests.metrics.reference import slow_calibration_error


def calibrated_clicks(size, rate=0.02, seed=0):
    """Labels drawn with the probabilities given, crowded around a click rate."""
    random = np.random.default_rng(seed)
    probabilities = random.beta(2, 2 / rate - 2, size).astype("float32")
    labels = (random.random(size) < probabilities).astype("float32")
    return labels, probabilities


@st.composite
def batches(draw):
    size = draw(st.integers(1, 50))
    labels = arrays("float32", size, elements=st.sampled_from([0.0, 1.0]))
    probabilities = arrays("float32", size, elements=st.floats(0, 1, width=32))
    return draw(labels), draw(probabilities)


@settings(max_examples=40)
@given(batches(), st.integers(1, 20))
def test_equal_width_bins_equal_a_loop_over_bins(batch, num_bins):
    labels, probabilities = batch
    metric = ExpectedCalibrationError(num_bins)
    metric.update_state(labels, probabilities)
    bins = np.floor(probabilities.astype("float64") * num_bins)
    bins = np.minimum(bins, num_bins - 1)
    expected = slow_calibration_error(labels, probabilities, bins)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_equal_mass_bins_equal_a_loop_over_sorted_chunks():
    labels, probabilities = calibrated_clicks(15_000)
    probabilities = 1.5 * probabilities
    metric = ExpectedCalibrationError(15, "equal_mass")
    metric.update_state(labels, probabilities)
    bins = np.empty(len(labels), int)
    bins[np.argsort(probabilities)] = np.arange(len(labels)) // 1000
    expected = slow_calibration_error(labels, probabilities, bins)
    # Equal but for rows that share a cell of the grid with a bin's edge.
    assert float(metric.result()) == pytest.approx(expected, rel=0.02)


def test_equal_mass_sees_what_one_wide_bin_hides():
    """Low scores too low and high ones too high cancel in [0, 1/15)."""
    probabilities = np.repeat(np.float32([0.01, 0.05]), 1000)
    labels = np.tile(np.float32([1] * 3 + [0] * 97), 20)
    wide, mass = ExpectedCalibrationError(15), ExpectedCalibrationError(2, "equal_mass")
    wide.update_state(labels, probabilities)
    mass.update_state(labels, probabilities)
    assert float(wide.result()) == pytest.approx(0, abs=1e-6)
    assert float(mass.result()) == pytest.approx(0.02, abs=1e-6)


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_batches_and_repeated_rows_change_nothing(binning):
    labels, probabilities = calibrated_clicks(999)
    once = ExpectedCalibrationError(binning=binning)
    once.update_state(labels, probabilities, sample_weight=3.0)
    again = ExpectedCalibrationError(binning=binning)
    for _ in range(3):
        again.update_state(labels[:500], probabilities[:500])
        again.update_state(labels[500:, None], probabilities[500:, None])
    assert float(once.result()) == pytest.approx(float(again.result()), abs=1e-7)


def test_probability_on_an_edge_belongs_to_the_upper_bin():
    metric = ExpectedCalibrationError(num_bins=2)
    metric.update_state([0, 1], [0.5, 1.0])  # one bin: (.5 - 0 + 1 - 1) / 2
    assert float(metric.result()) == 0.25
    metric.reset_state()
    metric.update_state([1, 0], [0.25, 0.5])  # two bins: (.75 + .5) / 2
    assert float(metric.result()) == 0.625


def test_without_rows_nothing_is_defined():
    assert np.isnan(ExpectedCalibrationError().result())
    assert np.isnan(ExpectedCalibrationError(binning="equal_mass").result())
    assert np.isnan(PredictedOverObserved().result())


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`num_bins` must be between 1 and 16384"):
        ExpectedCalibrationError(0)
    with pytest.raises(ValueError, match=r"`binning` must be one of .* got 'quantile'"):
        ExpectedCalibrationError(binning="quantile")
    with pytest.raises(ValueError, match="`y_true` must have one value for each"):
        PredictedOverObserved().update_state([1, 0], [0.1, 0.2, 0.3])


@given(batches())
def test_pcoc_is_the_ratio_of_the_sums(batch):
    labels, probabilities = batch
    metric = PredictedOverObserved()
    metric.update_state(labels, probabilities)
    clicks = labels.sum()
    expected = probabilities.sum(dtype="float64") / clicks if clicks else np.nan
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_pcoc_weighs_rows():
    metric = PredictedOverObserved()
    metric.update_state([1, 0], [0.7, 0.5], sample_weight=[2, 0])
    assert float(metric.result()) == pytest.approx(0.7)


def test_pcoc_keeps_counting_past_what_float32_can():
    metric = PredictedOverObserved()
    metric.update_state([1.0], [1.0], sample_weight=2.0**25)
    for _ in range(10):
        metric.update_state([1.0], [0.0])
    assert float(metric.result()) == np.float32(2**25 / (2**25 + 10)) < 1
