"""The client retries, gives up and batches as it says; against scripted servers."""

import contextlib
import re
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from hgr_tf.export.client import Client
from hgr_tf.export.runtime.tensor_protos import to_array, to_proto

Code = grpc.StatusCode
ROWS = {"x": np.arange(3, dtype=np.float32)}


class Scripted(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Refuses with each of some codes in turn, then answers x, padded by two."""

    def __init__(self, refusals=(), seconds=0.0):
        self.refusals = list(refusals)
        self.seconds = seconds
        self.inputs = []

    def Predict(self, request, context):
        self.inputs.append({k: to_array(v, k) for k, v in request.inputs.items()})
        time.sleep(self.seconds)
        if self.refusals:
            context.abort(self.refusals.pop(0), "as scripted")
        x = self.inputs[-1]["x"]
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 2 * (x.ndim > 1))])
        response = predict_pb2.PredictResponse()
        response.outputs["probabilities"].CopyFrom(to_proto(padded))
        return response


@contextlib.contextmanager
def client_of(service, **options):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}", "ranker", **options) as client:
        yield client
    server.stop(None)


def code_of(client):
    with pytest.raises(grpc.RpcError) as refusal:
        client.predict(ROWS)
    return refusal.value.code()


def test_a_server_that_is_not_ready_is_asked_again():
    service = Scripted([Code.UNAVAILABLE, Code.ABORTED])
    with client_of(service) as client:
        np.testing.assert_array_equal(client.probabilities(ROWS), ROWS["x"])
    assert len(service.inputs) == 3


@pytest.mark.parametrize(
    "code", [Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED]
)
def test_what_would_be_refused_again_is_not_asked_again(code):
    service = Scripted([code])
    with client_of(service) as client:
        assert code_of(client) == code
    assert len(service.inputs) == 1


def test_attempts_are_counted():
    service = Scripted([Code.UNAVAILABLE] * 9)
    with client_of(service, attempts=2) as client:
        assert code_of(client) == Code.UNAVAILABLE
    assert len(service.inputs) == 2


def test_the_deadline_holds_for_a_call_and_its_retries():
    start = time.monotonic()
    with client_of(Scripted(seconds=1.0), timeout_seconds=0.3) as client:
        assert code_of(client) == Code.DEADLINE_EXCEEDED
    service = Scripted([Code.UNAVAILABLE] * 1000)
    with client_of(service, timeout_seconds=0.3, attempts=1000) as client:
        assert code_of(client) in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
    assert len(service.inputs) > 1
    assert time.monotonic() - start < 5


def test_candidates_go_in_batches_and_padding_is_cut():
    service = Scripted()
    x = np.arange(5, dtype=np.float32)
    with client_of(service, batch_rows=2) as client:
        scores = client.rank({"age": 3.5, "city": "Köln", "hour": 7}, {"x": x})
    np.testing.assert_array_equal(scores, x)
    assert [call["x"].shape for call in service.inputs] == [(1, 2), (1, 2), (1, 1)]
    sent = service.inputs[0]
    assert sent["age"].dtype == np.float32
    assert sent["hour"].dtype == np.int64
    assert sent["city"].tolist() == ["Köln".encode()]


def test_a_request_may_hold_histories_and_candidates_vectors():
    service = Scripted()
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    with client_of(service, batch_rows=2) as client:
        client.rank({"seen": ["a", "", ""]}, {**ROWS, "vector": vectors})
        scores = client.probabilities({**ROWS, "seen": [["a", ""]] * 3})
    np.testing.assert_array_equal(scores, ROWS["x"])
    first, second, *_ = service.inputs
    assert first["seen"].tolist() == second["seen"].tolist() == [[b"a", b"", b""]]
    np.testing.assert_array_equal(first["vector"], vectors[None, :2])
    np.testing.assert_array_equal(second["vector"], vectors[None, 2:])


@pytest.mark.parametrize("name", ["timeout_seconds", "attempts", "batch_rows"])
def test_limits_must_be_positive(name):
    with pytest.raises(ValueError, match=f"`{name}` must be positive, got 0"):
        Client("127.0.0.1:1", "ranker", **{name: 0})


@pytest.mark.parametrize(
    "values",
    [
        np.array(["Köln", None, np.nan, np.float32("nan"), ""], object),
        ["Köln", None, np.nan, b"", ""],
        ["Köln", np.nan, np.nan, "", ""],
    ],
    ids=["array", "list", "list of text and NaN"],
)
def test_none_and_nan_among_texts_are_missing_values(values):
    service = Scripted()
    with client_of(service) as client:
        client.predict({"x": np.zeros(5), "city": values})
        client.rank({"city": None}, {"x": np.zeros(5), "brand": values})
    rows, ranked = service.inputs
    assert rows["city"].tolist() == ["Köln".encode(), b"", b"", b"", b""]
    assert ranked["brand"][0].tolist() == rows["city"].tolist()
    assert ranked["city"].tolist() == [b""]


@pytest.mark.parametrize("dtype", ["uint64", "float16", "datetime64[s]", "complex64"])
def test_a_dtype_that_no_tensor_has_is_refused_with_its_input(dtype):
    service = Scripted()
    odd = np.zeros(2, dtype)
    message = re.escape(f"got {dtype} for 'hour'")
    with client_of(service) as client:
        for call in (
            lambda: client.predict({"x": np.zeros(2), "hour": odd}),
            lambda: client.rank({"age": 1.0}, {"hour": odd}),
        ):
            with pytest.raises(ValueError, match=message):
                call()
    assert not service.inputs
