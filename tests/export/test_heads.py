"""A ranker with several heads is served as one with a single output is."""

import json

import grpc
import numpy as np
import pytest
import requests as http
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    model_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from typer.testing import CliRunner

from hgr_tf.calibration.heads import HeadCalibrations
from hgr_tf.cli.main import app
from hgr_tf.export import export_for_serving
from hgr_tf.export.checking.answers import AnswerError
from hgr_tf.export.checking.signatures import check_signatures
from hgr_tf.export.checking.verification import verify
from hgr_tf.export.client import Client
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.options import CALIBRATION_FILE
from hgr_tf.export.runtime.predictor import Predictor
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.low_precision import score_change
from hgr_tf.export.saving.onnx import export_onnx
from tests.calibration.functions import PLATT, calibration, per_slice
from tests.export.models import ENCODING, NAMES, encode, small_ranker
from tests.export.server.processes import MODEL, local_server

HEADS = ("view", "buy")
ITEMS = {feature.name for feature in ENCODING.spec.features("item")}
BUY = per_slice("brand")


def headed_ranker(names=HEADS, **last):
    """The small ranker with a head more, beside its own."""
    ranker = small_ranker(user_tower=())
    tf.keras.utils.set_random_seed(7)
    hidden = ranker.get_layer("crossed_and_deep").output
    more = tf.keras.layers.Dense(1, name="more_logits", **last)(hidden)
    return tf.keras.Model(
        ranker.input, dict(zip(names, (ranker.output, more), strict=True))
    )


def scores_of(ranker, raw, functions=None):
    """Probabilities [rows] by head of the ranker itself, and calibrated ones."""
    inputs = {k: tf.constant(v) for k, v in encode(raw).items()}
    logits = {k: v[:, 0] for k, v in ranker(inputs, training=False).items()}
    for head, function in (functions or {}).items():
        logits[head] = function.logits(logits[head], inputs)
    return {head: tf.sigmoid(values).numpy() for head, values in logits.items()}


def close(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=2e-6, err_msg=name)


def serialized(rows, seed=5):
    examples = SampleRequests(ENCODING, NAMES, seed).examples(rows)
    return {"inputs": np.array([e.SerializeToString() for e in examples], object)}


def flat(ranked):
    """One row per candidate of requests of `rank`."""
    items = ranked["item"].shape[1]
    return {
        k: v.reshape(-1) if k in ITEMS else np.repeat(v, items)
        for k, v in ranked.items()
    }


@pytest.fixture(scope="module")
def ranker():
    return headed_ranker()


@pytest.fixture(scope="module")
def base_path(ranker, tmp_path_factory):
    """One of the heads is calibrated, as `hgr-tf calibrate --head buy` leaves it."""
    base_path = tmp_path_factory.mktemp("models") / MODEL
    only = HeadCalibrations(heads={"buy": calibration(BUY)})
    export_for_serving(
        ranker, base_path, encoding=ENCODING, with_logits=True, calibration=only
    )
    return base_path


def expected(ranker, raw):
    return scores_of(ranker, raw, {"buy": BUY})


def test_every_signature_answers_for_every_head(ranker, base_path):
    session = ServingSession(base_path / "1")
    requests = SampleRequests(ENCODING, NAMES, 5)
    raw = requests.raw(60)
    scores = expected(ranker, raw)
    assert np.abs(scores["view"] - scores["buy"]).max() > 0.1
    logits = {f"{k}/logits": np.log(v) - np.log1p(-v) for k, v in scores.items()}
    found = session.call("serving_default", raw)
    close({k: found[k] for k in scores}, scores)
    for name, values in logits.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-3)
    close(session.call("examples", serialized(60)), found)
    ranked = requests.rank(3, 7)
    rows = expected(ranker, flat(ranked))
    found = session.call("rank", ranked)
    close({k: found[k] for k in rows}, {k: v.reshape(3, 7) for k, v in rows.items()})
    classified = session.call("classify", serialized(60))
    assert classified["classes"].tolist() == [[b"view", b"buy"]] * 60
    stacked = np.stack([scores["view"], scores["buy"]], axis=1)
    np.testing.assert_allclose(classified["scores"], stacked, atol=2e-6)
    assert "regress" not in session.signatures
    for head in HEADS:
        found = session.call(f"regress/{head}", serialized(60))
        np.testing.assert_allclose(found["outputs"], scores[head], atol=2e-6)


def test_it_is_verified_and_reads_its_calibrations_back(ranker, base_path):
    folder = base_path / "1"
    assert verify(folder, ranker, ENCODING).ok
    check_signatures(folder)
    (folder / CALIBRATION_FILE).rename(folder / "elsewhere")
    try:
        report = verify(folder, ranker, ENCODING)
    finally:
        (folder / "elsewhere").rename(folder / CALIBRATION_FILE)
    assert [leak.check for leak in report.leaks] == ["twin"]


def test_predictor_and_command_score_every_head(ranker, base_path, tmp_path):
    raw = SampleRequests(ENCODING, NAMES, 6).raw(9)
    predictor = Predictor(base_path / "1")
    close(predictor.probabilities(raw), expected(ranker, raw))
    none = predictor.probabilities({k: v[:0] for k, v in raw.items()})
    assert {k: v.shape for k, v in none.items()} == {"view": (0,), "buy": (0,)}
    rows = tmp_path / "rows.jsonl"
    row = {"user": 100, "item": "item-3", "price": 2.0, "city": "Paris"}
    rows.write_text(f"{json.dumps(row)}\n")
    command = ["predict", "--model", str(base_path), "--input", str(rows)]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.output
    line = json.loads(next(x for x in answer.output.splitlines() if x[0] == "{"))
    assert set(line) == set(HEADS)


def test_a_server_and_its_clients_answer_for_every_head(ranker, base_path):
    raw = SampleRequests(ENCODING, NAMES, 8).raw(5)
    scores = expected(ranker, raw)
    drawn = SampleRequests(ENCODING, NAMES, 4).rank(1, 5)
    request = {k: v[0] for k, v in drawn.items() if k not in ITEMS}
    candidates = {k: v[0] for k, v in drawn.items() if k in ITEMS}
    examples = SampleRequests(ENCODING, NAMES, 8).examples(5)
    with local_server(base_path) as server:
        with Client(server.grpc, MODEL, batch_rows=2) as client:
            close(client.probabilities(raw), scores)
            close(client.rank(request, candidates), expected(ranker, flat(drawn)))
            none = client.probabilities({k: v[:0] for k, v in raw.items()})
            assert {k: v.shape for k, v in none.items()} == {"view": (0,), "buy": (0,)}
        with grpc.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            spec = model_pb2.ModelSpec(name=MODEL, signature_name="classify")
            classify = classification_pb2.ClassificationRequest(model_spec=spec)
            classify.input.example_list.examples.extend(examples)
            answer = stub.Classify(classify, timeout=10)
            for i, row in enumerate(answer.result.classifications):
                found = {one.label: one.score for one in row.classes}
                close(found, {k: v[i] for k, v in scores.items()})
            spec.signature_name = "regress/buy"
            regress = regression_pb2.RegressionRequest(model_spec=spec)
            regress.input.example_list.examples.extend(examples)
            values = [r.value for r in stub.Regress(regress).result.regressions]
            np.testing.assert_allclose(values, scores["buy"], atol=2e-6)
        url = f"http://{server.rest}/v1/models/{MODEL}:predict"
        columns = {k: v.tolist() for k, v in raw.items()}
        rows = [{k: values[i] for k, values in columns.items()} for i in range(5)]
        answer = http.post(url, data=json.dumps({"instances": rows}), timeout=10)
        found = answer.json()["predictions"]
        close({k: [row[k] for row in found] for k in HEADS}, scores)


@pytest.mark.parametrize("calibrated", [False, True])
def test_onnx_names_its_outputs_after_the_heads(ranker, calibrated, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    functions = {"view": PLATT, "buy": BUY} if calibrated else {}
    both = {head: calibration(one) for head, one in functions.items()}
    path = tmp_path / "ranker.onnx"
    export_onnx(ranker, path, HeadCalibrations(heads=both) if both else None)
    raw = SampleRequests(ENCODING, NAMES, 5).raw(40)
    session = onnxruntime.InferenceSession(str(path))
    encoded = encode(raw)
    taken = {i.name: encoded[i.name] for i in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, taken), strict=True))
    close(found, scores_of(ranker, raw, functions))


def test_smaller_tables_change_the_probabilities_of_both_heads(ranker):
    largest, mean = score_change(ranker, ENCODING, "int8")
    assert 0 < mean < largest < 0.1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("view", "logits"), "must have another name than 'logits'"),
        (("probabilities", "buy"), "another name than 'probabilities'"),
    ],
)
def test_a_head_with_the_name_of_another_output_is_refused(names, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_for_serving(headed_ranker(names), tmp_path, encoding=ENCODING)
    assert not list(tmp_path.glob("[0-9]*"))


def test_a_head_that_answers_a_constant_is_named(tmp_path):
    constant = headed_ranker(kernel_initializer="zeros")
    message = "probabilities of the head 'buy' must differ, got 0.5"
    with pytest.raises(AnswerError, match=message):
        export_for_serving(constant, tmp_path, encoding=ENCODING)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (None, r"heads, \['view', 'buy'\]; got one without a name"),
        (["buy", "like"], r"\['view', 'buy'\]; got \['buy', 'like'\]"),
    ],
)
def test_calibrations_of_other_heads_are_refused(ranker, heads, message, tmp_path):
    one = calibration(PLATT)
    given = HeadCalibrations(heads=dict.fromkeys(heads, one)) if heads else one
    with pytest.raises(ValueError, match=message):
        export_for_serving(ranker, tmp_path, encoding=ENCODING, calibration=given)
