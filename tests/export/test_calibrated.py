"""A calibrated export answers calibrated probabilities, whoever asks."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.export import export_for_serving
from hgr_tf.export.checking.verification import verify
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.options import CALIBRATION_FILE
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.onnx import export_onnx
from tests.calibration.functions import ISOTONIC, PLATT, calibration, per_slice
from tests.export.models import ENCODING, NAMES, encode, small_ranker, trained_scores

METHODS = {
    "platt": PLATT,
    "isotonic": ISOTONIC,
    "of the user": per_slice("city"),
    "of the item": per_slice("brand"),
}


def expected(model, raw, function):
    inputs = {k: tf.constant(v) for k, v in encode(raw).items()}
    p = trained_scores(model, raw).astype(float)
    logits = tf.constant(np.log(p) - np.log1p(-p))
    return tf.sigmoid(function.logits(logits, inputs)).numpy()


@pytest.mark.parametrize(
    "method",
    [
        "of the item",
        pytest.param("of the user", marks=pytest.mark.slow),
        pytest.param("isotonic", marks=pytest.mark.slow),
    ],
)
def test_every_signature_is_calibrated(method, model, tmp_path):
    function = METHODS[method]
    folder = export_for_serving(
        model, tmp_path, encoding=ENCODING, calibration=calibration(function)
    )
    assert verify(folder, model, ENCODING).ok
    session = ServingSession(folder)
    requests = SampleRequests(ENCODING, NAMES, 5)
    raw = requests.raw(60)
    scores = expected(model, raw, function)
    found = session.call("serving_default", raw)["probabilities"]
    np.testing.assert_allclose(found, scores, atol=2e-6)
    assert np.abs(scores - trained_scores(model, raw)).max() > 0.05
    examples = SampleRequests(ENCODING, NAMES, 5).examples(60)
    inputs = {"inputs": np.array([e.SerializeToString() for e in examples], object)}
    for name, output in (("regress", "outputs"), ("examples", "probabilities")):
        np.testing.assert_allclose(
            session.call(name, inputs)[output], scores, atol=2e-6
        )
    classified = session.call("classify", inputs)["scores"]
    np.testing.assert_allclose(classified[:, 1], scores, atol=2e-6)
    ranked = requests.rank(3, 7)
    items = {f.name for f in ENCODING.spec.features("item")}
    rows = {
        k: v.reshape(-1) if k in items else np.repeat(v, 7) for k, v in ranked.items()
    }
    found = session.call("rank", ranked)["probabilities"]
    np.testing.assert_allclose(
        found.ravel(), expected(model, rows, function), atol=2e-6
    )


def test_an_export_without_calibration_is_what_it_was(exported):
    assert not (exported / CALIBRATION_FILE).exists()
    assert "calibration" not in (exported / "assets.extra/export.json").read_text()


@pytest.mark.slow
def test_the_twin_notices_a_calibration_that_the_version_does_not_tell_of(
    model, tmp_path
):
    folder = export_for_serving(
        model, tmp_path, encoding=ENCODING, calibration=calibration(PLATT)
    )
    (folder / CALIBRATION_FILE).unlink()
    report = verify(folder, model, ENCODING)
    assert [leak.check for leak in report.leaks] == ["twin"]


@pytest.mark.parametrize("method", ["isotonic", "of the user"])
def test_onnx_is_calibrated(method, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    function, ranker = METHODS[method], small_ranker()
    path = tmp_path / "ranker.onnx"
    export_onnx(ranker, path, calibration(function))
    raw = SampleRequests(ENCODING, NAMES, 5).raw(60)
    encoded = encode(raw)
    session = onnxruntime.InferenceSession(str(path))
    taken = {i.name: encoded[i.name] for i in session.get_inputs()}
    (found,) = session.run(["probabilities"], taken)
    np.testing.assert_allclose(found, expected(ranker, raw, function), atol=2e-6)


def test_a_ranker_without_the_calibrations_feature_is_refused(tmp_path):
    inputs = {"age": tf.keras.Input([], name="age")}
    outputs = tf.keras.layers.Dense(1)(inputs["age"][:, None])
    with pytest.raises(ValueError, match=r"by \['city'\], which the ranker must take"):
        export_for_serving(
            tf.keras.Model(inputs, outputs),
            tmp_path,
            encoding=ENCODING,
            calibration=calibration(per_slice("city")),
        )
    assert not list(tmp_path.iterdir())
