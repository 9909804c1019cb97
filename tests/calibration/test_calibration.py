import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from hgr_tf.calibration.calibration import Calibration, CalibrationError
from hgr_tf.calibration.heads import HeadCalibrations, load_calibration
from hgr_tf.calibration.isotonic import Isotonic
from hgr_tf.calibration.platt import Platt
from tests.calibration.functions import ISOTONIC, PLATT, calibration, per_slice

LOGITS = np.linspace(-4, 4, 401).astype(np.float32)


def probabilities(function, logits=LOGITS, **ids):
    inputs = {name: tf.constant(values, tf.int64) for name, values in ids.items()}
    return tf.sigmoid(function.logits(tf.constant(logits), inputs)).numpy()


def test_platt_is_a_line_of_logits():
    expected = 1 / (1 + np.exp(-(0.7 * LOGITS - 0.4)))
    np.testing.assert_allclose(probabilities(PLATT), expected, atol=1e-6)


def test_isotonic_interpolates_and_is_constant_outside():
    expected = np.interp(LOGITS, ISOTONIC.at, ISOTONIC.probabilities)
    np.testing.assert_allclose(probabilities(ISOTONIC), expected, atol=1e-6)


def test_isotonic_of_many_close_knots_never_falls():
    rng = np.random.default_rng(0)
    at = np.unique(rng.normal(size=500).astype(np.float32))
    function = Isotonic(
        at=tuple(map(float, at)),
        probabilities=tuple(np.sort(rng.uniform(1e-6, 1 - 1e-6, len(at)))),
    )
    logits = np.sort(rng.normal(size=20_000).astype(np.float32))
    found = function.logits(tf.constant(logits), {}).numpy()
    assert np.isfinite(found).all() and (np.diff(found) >= 0).all()
    expected = np.interp(logits, function.at, function.probabilities)
    np.testing.assert_allclose(probabilities(function, logits), expected, atol=1e-5)


def test_isotonic_of_one_knot_is_a_constant():
    constant = Isotonic(at=(0.0,), probabilities=(0.3,))
    np.testing.assert_allclose(probabilities(constant), 0.3, atol=1e-6)


def test_every_slice_has_its_scale_and_unseen_values_the_fallback():
    ids = np.arange(len(LOGITS)) % 5
    slope = np.array([0.7, 0.7, 0.5, 1.5, 0.7])[ids]
    intercept = np.array([-0.4, -0.4, -1.0, 0.25, -0.4])[ids]
    expected = 1 / (1 + np.exp(-(slope * LOGITS + intercept)))
    found = probabilities(per_slice("city"), city=ids)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("function", [PLATT, ISOTONIC, per_slice("city")])
def test_the_file_reads_back_as_it_was(function, tmp_path):
    path = tmp_path / "calibration.json"
    calibration(function).save(path)
    assert Calibration.load(path) == calibration(function)
    assert load_calibration(path) == calibration(function)
    assert load_calibration(tmp_path / "none.json") is None


def test_a_damaged_file_is_one_line_with_its_name(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text('{"function": {"method": "plat"}}')
    with pytest.raises(CalibrationError, match=r"calibration\.json: function: .*plat"):
        Calibration.load(path)


def test_heads_have_calibrations_of_their_own_in_one_file(tmp_path):
    heads = {"buy": calibration(PLATT), "click": calibration(per_slice("city"))}
    both = HeadCalibrations(heads=heads)
    both.save(tmp_path / "calibration.json")
    assert load_calibration(tmp_path / "calibration.json") == both
    assert (both.inputs, both.method) == (("city",), "buy: platt, click: per-slice")
    values = tf.constant(LOGITS, tf.float32)
    one = both.logits({"seen": values, "buy": values}, {})
    np.testing.assert_array_equal(one["seen"], values)
    np.testing.assert_allclose(one["buy"], 0.7 * values - 0.4, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"heads": {}}', "heads: .*at least 1"),
        ('{"heads": {"buy": {"split": 3}}}', "heads.buy.function: Field required"),
        ("[]", r"calibration\.json: "),
        ("{", r"calibration\.json: "),
    ],
)
def test_a_damaged_file_of_heads_is_named(text, message, tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message):
        load_calibration(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Platt(slope=-1, intercept=0), "greater than 0"),
        (lambda: Isotonic(at=(0, 0), probabilities=(0.1, 0.2)), "must ascend"),
        (lambda: Isotonic(at=(0, 1), probabilities=(0.2, 0.1)), "must never fall"),
        (lambda: Isotonic(at=(0, 1), probabilities=(0.0, 0.1)), "must lie between"),
        (lambda: Isotonic(at=(0, 1), probabilities=(0.1,)), "must be of one length"),
    ],
)
def test_what_would_not_be_monotone_is_refused(make, message):
    with pytest.raises(ValidationError, match=message):
        make()
