"""Both servers, both clients and the trained ranker agree."""

import base64
import json
import shlex
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests as http
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from hgr_tf.export.client import Client
from hgr_tf.export.inputs.sample_requests import SampleRequests
from tests.export.models import ENCODING, NAMES, trained_scores
from tests.export.server.processes import MODEL

ROWS = 20


@pytest.fixture(scope="module")
def raw():
    return SampleRequests(ENCODING, NAMES).raw(ROWS)


@pytest.fixture(scope="module")
def examples():
    return SampleRequests(ENCODING, NAMES).examples(ROWS)


@pytest.fixture(scope="module")
def expected(model, raw):
    return trained_scores(model, raw)


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def spec(signature):
    return model_pb2.ModelSpec(name=MODEL, signature_name=signature)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_predict_over_grpc(server, raw, examples, expected):
    with Client(server.grpc, MODEL) as client:
        close(client.predict(raw)["probabilities"], expected)
        serialized = np.array([e.SerializeToString() for e in examples], object)
        outputs = client.predict({"inputs": serialized}, "examples")
        close(outputs["probabilities"], expected)
        assert client.versions() == [1]


def test_a_call_without_a_deadline_is_answered(stub, examples, expected):
    request = regression_pb2.RegressionRequest(model_spec=spec("regress"))
    request.input.example_list.examples.extend(examples)
    response = stub.Regress(request)
    close([r.value for r in response.result.regressions], expected)


def test_no_rows_have_no_scores(server, raw):
    with Client(server.grpc, MODEL) as client:
        outputs = client.predict({k: v[:0] for k, v in raw.items()})
    assert outputs["probabilities"].shape == (0,)


def test_rank_over_grpc_in_batches(server, model):
    drawn = SampleRequests(ENCODING, NAMES, seed=4).rank(1, 25)
    items = {f.name for f in ENCODING.spec.features("item")}
    request = {k: v[0] for k, v in drawn.items() if k not in items}
    candidates = {k: v[0] for k, v in drawn.items() if k in items}
    rows = {k: np.repeat(v, 25) for k, v in drawn.items() if k not in items}
    with Client(server.grpc, MODEL, batch_rows=10) as client:
        close(
            client.rank(request, candidates), trained_scores(model, rows | candidates)
        )


def test_classify_and_regress_over_grpc(stub, examples, expected):
    request = classification_pb2.ClassificationRequest(model_spec=spec("classify"))
    request.input.example_list.examples.extend(examples)
    response = stub.Classify(request, timeout=10)
    classes = [c.classes for c in response.result.classifications]
    assert [[c.label for c in pair] for pair in classes] == [["0", "1"]] * ROWS
    close([pair[1].score for pair in classes], expected)
    assert response.model_spec.version.value == 1

    request = regression_pb2.RegressionRequest(model_spec=spec("regress"))
    request.input.example_list.examples.extend(examples)
    response = stub.Regress(request, timeout=10)
    close([r.value for r in response.result.regressions], expected)


def test_a_context_example_is_merged_into_each_example(stub, examples, expected):
    request = regression_pb2.RegressionRequest(model_spec=spec("regress"))
    part = request.input.example_list_with_context
    shared = {f.name for f in ENCODING.spec.features("user")}
    own = part.examples.add()
    for name, feature in examples[0].features.feature.items():
        target = part.context if name in shared else own
        target.features.feature[name].CopyFrom(feature)
    response = stub.Regress(request, timeout=10)
    close([r.value for r in response.result.regressions], expected[:1])


def test_metadata_over_grpc_describes_the_signatures(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec(""), metadata_field=["signature_def"]
    )
    response = stub.GetModelMetadata(request, timeout=10)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    inputs = signatures.signature_def["serving_default"].inputs
    assert sorted(inputs) == sorted(NAMES)
    assert inputs["user"].dtype == tf.int64.as_datatype_enum


def test_predict_over_rest_in_both_formats(server, raw, expected):
    url = f"http://{server.rest}/v1/models/{MODEL}:predict"
    columns = {k: v.tolist() for k, v in raw.items()}
    # NaN is a missing number; Python writes and rapidjson reads it.
    body = json.dumps({"inputs": columns})
    close(http.post(url, data=body, timeout=10).json()["outputs"], expected)
    rows = [{k: values[i] for k, values in columns.items()} for i in range(ROWS)]
    body = json.dumps({"instances": rows})
    close(http.post(url, data=body, timeout=10).json()["predictions"], expected)


@pytest.mark.parametrize("shape", ["row", "columnar"])
def test_serialized_examples_over_rest(server, examples, expected, shape):
    url = f"http://{server.rest}/v1/models/{MODEL}:predict"
    encoded = [
        {"b64": base64.b64encode(e.SerializeToString()).decode()} for e in examples
    ]
    given, answer = {
        "row": ("instances", "predictions"),
        "columnar": ("inputs", "outputs"),
    }[shape]
    body = {"signature_name": "examples", given: encoded}
    close(http.post(url, json=body, timeout=10).json()[answer], expected)


def test_rank_over_rest(server, model):
    drawn = SampleRequests(ENCODING, NAMES, seed=5).rank(1, 4)
    url = f"http://{server.rest}/v1/models/{MODEL}/versions/1:predict"
    inputs = {k: v.tolist() for k, v in drawn.items()}
    body = json.dumps({"signature_name": "rank", "inputs": inputs})
    scores = http.post(url, data=body, timeout=10).json()["outputs"]
    items = {f.name for f in ENCODING.spec.features("item")}
    rows = {k: v[0] if k in items else np.repeat(v, 4) for k, v in drawn.items()}
    close(scores, [trained_scores(model, rows)])


def test_classify_and_regress_over_rest(server):
    url = f"http://{server.rest}/v1/models/{MODEL}"
    example = {"user": 100, "city": "Köln", "age": 3.0, "tags": [1, 30], "words": "red"}
    body = {"signature_name": "classify", "examples": [example, {}]}
    results = http.post(f"{url}:classify", json=body, timeout=10).json()["results"]
    assert [[label for label, _ in row] for row in results] == [["0", "1"]] * 2
    body["signature_name"] = "regress"
    values = http.post(f"{url}:regress", json=body, timeout=10).json()["results"]
    close(values, [row[1][1] for row in results])


def test_status_and_metadata_over_rest(server):
    url = f"http://{server.rest}/v1/models/{MODEL}"
    (status,) = http.get(url, timeout=10).json()["model_version_status"]
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    metadata = http.get(f"{url}/metadata", timeout=10).json()["metadata"]
    signatures = metadata["signature_def"]["signature_def"]
    assert sorted(signatures["serving_default"]["inputs"]) == sorted(NAMES)


def test_ovmsclient_agrees(server, raw, expected):
    ovmsclient = pytest.importorskip("ovmsclient")
    client = ovmsclient.make_grpc_client(server.grpc)
    inputs = {
        k: [str(v) for v in values] if values.dtype == object else values
        for k, values in raw.items()
    }
    # Without a version ovmsclient asks for version 0.
    close(client.predict(inputs, MODEL, model_version=1), expected)
    assert client.get_model_status(MODEL, model_version=1)[1]["state"] == "AVAILABLE"


def test_the_line_to_try_is_answered(local, base_path):
    """The server's second line is a command that works as it stands."""
    words = shlex.split(local.process.stdout.readline())
    assert words[:3] == ["try:", "curl", "-d"]
    body = Path(words[3].removeprefix("@")).read_text(encoding="utf-8")
    row = json.loads(body)["instances"][0]
    assert set(row) == set(NAMES)
    answer = http.post(words[4], data=body, timeout=10)
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["predictions"]
    assert 0 < prediction < 1
