"""Bad requests get TensorFlow Serving's codes, and the server lives on."""

import json

import grpc
import numpy as np
import pytest
import requests as http
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from hgr_tf.export.client import Client
from hgr_tf.export.inputs.sample_requests import SampleRequests
from tests.export.models import ENCODING, NAMES
from tests.export.server.processes import MODEL

Code = grpc.StatusCode


def raw(rows=3):
    return SampleRequests(ENCODING, NAMES).raw(rows)


@pytest.fixture(autouse=True)
def the_server_lives_on(server):
    yield
    with Client(server.grpc, MODEL) as client:
        assert client.predict(raw())["probabilities"].shape == (3,)


@pytest.fixture
def client(server):
    with Client(server.grpc, MODEL, attempts=1, timeout_seconds=30) as client:
        yield client


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def refused(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as refusal:
        call(*arguments, **keywords)
    return refusal.value.code(), refusal.value.details()


def test_missing_feature(client):
    inputs = raw()
    del inputs["price"]
    code, details = refused(client.predict, inputs)
    assert code == Code.INVALID_ARGUMENT
    assert "input size does not match signature: 10!=11" in details
    assert "Missing but required: {price}" in details


def test_unknown_feature(client):
    code, details = refused(client.predict, raw() | {"colour": np.array(["red"] * 3)})
    assert code == Code.INVALID_ARGUMENT
    assert "Sent extra: {colour}" in details


FAULTS = {
    "dtype": ({"user": np.ones(3, np.float32)}, "'user' must be int64, got float32"),
    "text for a number": (
        {"price": np.array(["1"] * 3)},
        "'price' must be float32, got string",
    ),
    "rank": ({"price": np.ones((3, 1), np.float32)}, "'price' must have rank 1"),
    "no rank": ({"price": np.float32(1)}, "'price' must have rank 1"),
    "size": ({"price": np.ones(2, np.float32)}, "'price' must have 3 rows"),
    "dtype before rank": (
        {"price": np.ones((3, 1), np.float32), "user": np.ones(2, np.float32)},
        "'user' must be int64",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_client_names_the_input_at_fault(client, fault):
    change, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        client.predict(raw() | change)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_local_server_names_the_input_at_fault(local, fault):
    change, message = FAULTS[fault]
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    for name, values in (raw() | change).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    with grpc.insecure_channel(local.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        code, details = refused(stub.Predict, request, timeout=10)
    assert code == Code.INVALID_ARGUMENT
    assert message in details


def test_candidates_of_a_request_have_one_size_by_name(client):
    inputs = SampleRequests(ENCODING, NAMES).rank(1, 4)
    with pytest.raises(ValueError, match="'price' must have 4 items, as"):
        client.predict(inputs | {"price": np.ones((1, 2), np.float32)}, "rank")
    with pytest.raises(ValueError, match="'price' must have rank 2"):
        client.predict(inputs | {"price": np.ones(4, np.float32)}, "rank")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_integers_past_64_bits_are_refused_by_name(local, client, value):
    with pytest.raises(ValueError, match=f"'user' must hold int64.*{value}"):
        client.predict(raw(1) | {"user": [value]})
    with pytest.raises(ValueError, match=f"'user' must hold int64.*{value}"):
        client.rank({"user": value}, {"price": [1.0]})
    row = {"instances": [json_row() | {"user": value}]}
    answer = http.post(url(local), data=json.dumps(row), timeout=10)
    assert answer.status_code == 400
    assert "'user' must be int64, between" in answer.json()["error"]


def test_rest_names_the_input_at_fault(local):
    for change, message in (
        ({"price": [1.0]}, "'price' must have rank 1, [rows]"),
        ({"price": 10**400}, "'price' must be float32"),
        ({"user": "7"}, "'user' is not of expected type: int64"),
    ):
        row = {"instances": [json_row() | change]}
        answer = http.post(url(local), data=json.dumps(row), timeout=10)
        assert answer.status_code == 400
        assert message in answer.json()["error"]
    body = json.dumps({"instances": [json_row() | {"user": "N"}]})
    body = body.replace('"N"', "9" * 5000)
    answer = http.post(url(local), data=body, timeout=10)
    assert "'user' must be int64" in answer.json()["error"]


def json_row():
    """A good row, as REST takes it."""
    return {name: values.tolist()[0] for name, values in raw(1).items()}


def url(server):
    return f"http://{server.rest}/v1/models/{MODEL}:predict"


def test_text_that_is_no_integer(client):
    code, details = refused(client.predict, raw() | {"tags": np.array(["a,b"] * 3)})
    assert code == Code.INVALID_ARGUMENT
    assert "could not correctly convert string" in details


def test_unknown_signature(client):
    code, details = refused(client.predict, raw(), "score")
    assert code == Code.FAILED_PRECONDITION
    assert details == 'Serving signature key "score" not found.'


def test_unknown_model_and_version(server, stub):
    with Client(server.grpc, "nobody", attempts=1) as client:
        code, details = refused(client.predict, raw())
    assert code == Code.NOT_FOUND
    assert "Servable not found for request: Latest(nobody)" in details
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.model_spec.version.value = 99
    code, details = refused(stub.Predict, request, timeout=10)
    assert code == Code.NOT_FOUND
    assert f"Specific({MODEL}, 99)" in details


def test_unknown_version_has_no_status(server):
    with grpc.insecure_channel(server.grpc) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = MODEL
        request.model_spec.version.value = 99
        code, details = refused(stub.GetModelStatus, request, timeout=10)
    assert code == Code.NOT_FOUND
    assert details == f"Could not find version 99 of model {MODEL}"


def test_tensor_with_too_few_values(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    for name in NAMES:
        request.inputs[name].CopyFrom(
            tensor_pb2.TensorProto(dtype=types_pb2.DT_INT64, tensor_content=b"1")
        )
        request.inputs[name].tensor_shape.dim.add(size=3)
    code, details = refused(stub.Predict, request, timeout=10)
    assert code == Code.INVALID_ARGUMENT
    assert "tensor parsing error" in details


def test_no_examples(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = "classify"
    code, details = refused(stub.Classify, request, timeout=10)
    assert (code, details) == (Code.INVALID_ARGUMENT, "Input is empty.")


def test_signature_that_does_not_classify(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = "rank"
    assert refused(stub.Classify, request, timeout=10)[0] == Code.INVALID_ARGUMENT


def test_unknown_metadata_field(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["graph"])
    request.model_spec.name = MODEL
    code, details = refused(stub.GetModelMetadata, request, timeout=10)
    assert code == Code.INVALID_ARGUMENT
    assert details == "Metadata field graph is not supported"


def test_nan_is_a_missing_number(client):
    inputs = raw()
    inputs["age"][:] = np.nan
    inputs["price"][:] = np.nan
    assert np.isfinite(client.predict(inputs)["probabilities"]).all()


def test_a_message_of_100_mb(local):
    inputs = raw() | {"city": np.array([b"x" * (100 << 20), b"", b""], object)}
    with grpc.insecure_channel(local.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.inputs["city"].dtype = types_pb2.DT_STRING
        request.inputs["city"].string_val.extend(inputs["city"])
        code, details = refused(stub.Predict, request, timeout=30)
    assert code == Code.RESOURCE_EXHAUSTED
    assert "larger than max" in details


def test_a_deadline_that_is_past(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    assert refused(stub.Predict, request, timeout=0)[0] == Code.DEADLINE_EXCEEDED


REST = {
    "not json": (":predict", b"{", 400, "JSON Parse error"),
    "no object": (":predict", b"[]", 400, "not an object"),
    "no inputs": (":predict", b"{}", 400, "instances"),
    "missing input": (":predict", b'{"inputs": {"user": [1]}}', 400, ""),
    "wrong type": (":predict", b'{"inputs": {"user": ["a"]}}', 400, "expected type"),
    "unknown signature": (
        ":predict",
        b'{"signature_name": "x", "inputs": 1}',
        400,
        'Serving signature name: "x" not found in signature def',
    ),
    "ragged": (
        ":predict",
        b'{"signature_name": "rank", "inputs": {"price": [[1.0], [1.0, 2.0]]}}',
        400,
        "Encountered list at unexpected size",
    ),
    "bad base64": (
        ":predict",
        b'{"signature_name": "examples", "inputs": [{"b64": "?"}]}',
        400,
        "base64",
    ),
    "half a character": (
        ":predict",
        b'{"signature_name": "examples", "inputs": ["\\ud800"]}',
        400,
        "is not text",
    ),
    "too many dimensions": (
        ":predict",
        b'{"signature_name": "examples", "inputs": ' + b"[" * 500 + b"]" * 500 + b"}",
        400,
        "500 dimensions",
    ),
    "version past 64 bits": (
        f"/versions/{2**64}:predict",
        b"{}",
        400,
        "Malformed request",
    ),
    "version past 63 bits": (
        f"/versions/{2**63}:predict",
        b"{}",
        400,
        f"Failed to convert version: {2**63}",
    ),
    "largest version": (
        f"/versions/{2**63 - 1}:predict",
        b"{}",
        404,
        f"Specific(ranker, {2**63 - 1})",
    ),
    "label": (
        "/labels/x:predict",
        b"{}",
        400,
        "Unrecognized servable version label: x",
    ),
    "no such model": ("x:predict", b"{}", 404, "Servable not found for request"),
    "no such version": ("/versions/9:predict", b"{}", 404, "Specific(ranker, 9)"),
    "no examples": (":classify", b'{"signature_name": "classify"}', 400, "examples"),
}


@pytest.mark.parametrize("case", REST)
def test_bad_rest_requests(local, case):
    path, body, status, message = REST[case]
    url = f"http://{local.rest}/v1/models/{MODEL}{path}"
    response = http.post(url, data=body, timeout=10)
    assert response.status_code == status, response.text
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/v1/models/{MODEL}:predict", 400),
        ("POST", f"/v1/models/{MODEL}", 400),
        ("GET", "/v2/anything", 400),
        ("GET", "/v1/models/nobody", 404),
        ("GET", f"/v1/models/{MODEL}/labels/x", 400),
        ("GET", f"/v1/models/{MODEL}/versions/{2**63 - 1}", 404),
        ("PUT", f"/v1/models/{MODEL}:predict", 501),
        ("DELETE", f"/v1/models/{MODEL}", 501),
    ],
)
def test_bad_rest_paths(local, method, path, status):
    response = http.request(method, f"http://{local.rest}{path}", data="{}", timeout=10)
    assert response.status_code == status
    assert json.loads(response.text)["error"]


def test_a_rest_body_over_the_limit_is_not_read(local):
    url = f"http://{local.rest}/v1/models/{MODEL}:predict"
    headers = {"Content-Length": str(100 << 20)}
    response = http.post(url, data=b"", headers=headers, timeout=10)
    assert response.status_code == 413
    assert "at most" in response.json()["error"]
