"""Client: scores through a server of TensorFlow Serving's protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import grpc
import numpy as np
import tenacity
from google.protobuf.message import Message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from hgr_tf.export.runtime.c_library import SessionError
from hgr_tf.export.runtime.input_checks import check_tensors
from hgr_tf.export.runtime.outputs import Scores, joined
from hgr_tf.export.runtime.requests import DEFAULT_SIGNATURE
from hgr_tf.export.runtime.tensor_protos import to_array, to_proto
from hgr_tf.export.runtime.tensors import DTYPES, ENUMS

RETRIABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED})
"""Codes after which the same request may succeed: the server is starting,
changing versions or has full queues. The others say that it would not."""

_Response = TypeVar("_Response")
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
_MAX_MESSAGE_BYTES = 64 << 20


class Client:
    """Scores raw values on a server.

    Args:
        address: host:port of its gRPC service.
        model: Name of the model there.
        version: Version of the model; by default the newest that the server has.
        timeout_seconds: Deadline of a call, its retries included.
        attempts: Tries of a call, at most. Between them it waits a random
            time that doubles on average.
        batch_rows: Rows or candidates of one request, at most.

    Example:
        >>> with Client("127.0.0.1:8500", "ranker") as client:
        ...     scores = client.rank({"user": 7}, {"item": candidates})
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout_seconds: float = 5.0,
        attempts: int = 5,
        batch_rows: int = 1000,
    ):
        for name, value in (
            ("timeout_seconds", timeout_seconds),
            ("attempts", attempts),
            ("batch_rows", batch_rows),
        ):
            if value <= 0:
                raise ValueError(f"`{name}` must be positive, got {value}")
        self._model = model
        self._version = version
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._batch_rows = batch_rows
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ],
        )
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """Runs a signature once.

        Args:
            inputs: Raw tensors by input name; see the signature's metadata.
                None and NaN among texts are missing values.
            signature: Its name.

        Returns:
            Outputs by name.

        Raises:
            grpc.RpcError: The server refused, or did not answer in time.
            ValueError: An input has a wrong dtype, rank or size; the message
                names it.
        """
        request = predict_pb2.PredictRequest(model_spec=self._spec(signature))
        arrays = {name: _as_tensor(name, array) for name, array in inputs.items()}
        for name, array in arrays.items():
            request.inputs[name].CopyFrom(to_proto(array))
        try:
            response = self._call(self._predictions.Predict, request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                self._explain(error, arrays, signature)
            raise
        return {k: to_array(proto, k) for k, proto in response.outputs.items()}

    def probabilities(self, inputs: Mapping[str, np.ndarray]) -> Scores:
        """Scores raw rows [rows, ...] by feature name in batches.

        Without any rows the server is asked for its outputs alone.

        Returns:
            [rows] float32; of a ranker with several heads {head: [rows]}.
        """
        inputs = {name: _as_tensor(name, values) for name, values in inputs.items()}
        rows = _common_size(inputs)
        batches = []
        for low in range(0, rows, self._batch_rows):
            part = {k: v[low : low + self._batch_rows] for k, v in inputs.items()}
            batches.append(self.predict(part))
        return self._joined(batches, DEFAULT_SIGNATURE)

    def rank(
        self, request: Mapping[str, object], items: Mapping[str, np.ndarray]
    ) -> Scores:
        """Scores the candidates of one request in batches.

        Without any candidates the server is asked for its outputs alone.

        Args:
            request: Its user and context features, a value each; a list where the
                feature is a history or a vector.
            items: Features of the candidates, [candidates, ...] each.

        Returns:
            [candidates] float32 probabilities, in order; of a ranker with several
            heads {head: [candidates]}.
        """
        shared = {k: _as_tensor(k, [v]) for k, v in request.items()}
        items = {k: _as_tensor(k, v) for k, v in items.items()}
        candidates = _common_size(items)
        batches = []
        for low in range(0, candidates, self._batch_rows):
            part = {k: v[None, low : low + self._batch_rows] for k, v in items.items()}
            outputs = self.predict({**shared, **part}, "rank")
            # A server that batches requests pads them to the longest.
            sent = min(self._batch_rows, candidates - low)
            batches.append({k: v[0, :sent] for k, v in outputs.items()})
        return self._joined(batches, "rank")

    def _joined(
        self, batches: Sequence[Mapping[str, np.ndarray]], signature: str
    ) -> Scores:
        # Only without any rows is the server to be asked what its outputs are.
        outputs = batches[0] if batches else self.signature(signature).outputs
        return joined(batches, outputs)

    def signature(self, name: str = DEFAULT_SIGNATURE) -> meta_graph_pb2.SignatureDef:
        """The inputs and outputs of a signature, as the server describes them.

        Returns:
            A SignatureDef, whose `inputs` give dtype and shape by name.

        Raises:
            grpc.RpcError: The server refused, or did not answer in time.
            ValueError: The model has no such signature.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec(""), metadata_field=["signature_def"]
        )
        response = self._call(self._predictions.GetModelMetadata, request)
        known = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(known)
        if name not in known.signature_def:
            raise ValueError(
                f"`name` must be one of {sorted(known.signature_def)}, got {name!r}"
            )
        return known.signature_def[name]

    def _explain(
        self, refusal: grpc.RpcError, arrays: Mapping[str, np.ndarray], name: str
    ) -> None:
        """Names the input at fault; TensorFlow Serving names an op of the graph.

        It asks the server for the signature, and only after a refusal, so that
        no good request waits for it.
        """
        try:
            expected = self.signature(name).inputs
        except (grpc.RpcError, ValueError):
            return
        if set(arrays) == set(expected):
            try:
                check_tensors(arrays, expected)
            except SessionError as error:
                raise ValueError(error.message) from refusal

    def versions(self) -> list[int]:
        """The versions that the server has available, newest first."""
        request = get_model_status_pb2.GetModelStatusRequest(
            model_spec=model_pb2.ModelSpec(name=self._model)
        )
        response = self._call(self._models.GetModelStatus, request)
        available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        found = [
            s.version for s in response.model_version_status if s.state == available
        ]
        return sorted(found, reverse=True)

    def _spec(self, signature: str) -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self._model, signature_name=signature)
        if self._version is not None:
            spec.version.value = self._version
        return spec

    def _call(self, method: Callable[..., _Response], request: Message) -> _Response:
        deadline = time.monotonic() + self._timeout
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_retriable),
            wait=tenacity.wait_random_exponential(
                _FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS
            ),
            stop=tenacity.stop_after_attempt(self._attempts)
            | tenacity.stop_before_delay(self._timeout),
            reraise=True,
        )
        return retrying(
            lambda: method(request, timeout=max(0.0, deadline - time.monotonic()))
        )


def is_retriable(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    return isinstance(error, grpc.RpcError) and error.code() in RETRIABLE


def _common_size(inputs: Mapping[str, np.ndarray]) -> int:
    """The size of lists that must be equally long."""
    if not inputs:
        raise ValueError("`inputs` must hold a list for each feature, got none")
    first, size = None, 0
    for name, array in inputs.items():
        if not array.ndim:
            raise ValueError(f"{name!r} must be a list of values, got {array}")
        if first is None:
            first, size = name, len(array)
        if len(array) != size:
            raise ValueError(
                f"{name!r} must have {size} values, as {first!r}, got {len(array)}"
            )
    return size


def _as_tensor(name: str, values: object) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"{name!r} must be an array of values: {error}") from error
    if array.dtype.kind in "SU":
        # Of the values themselves: among texts numpy writes NaN as "nan".
        array = np.asarray(values, object)
    if array.dtype == np.float64:  # Python's floats; an export takes float32
        array = array.astype(np.float32)
    if array.dtype.kind in "uO":
        _check_integers(name, array)
    if array.dtype not in ENUMS:
        known = ", ".join(map(str, DTYPES.values()))
        raise ValueError(
            f"`inputs` must be of the dtypes {known}, got {array.dtype} for {name!r}"
        )
    return array


def _check_integers(name: str, array: np.ndarray) -> None:
    """Integers past 64 bits would become texts of their digits."""
    limits = np.iinfo(np.int64)
    for value in array.flat:
        if isinstance(value, int | np.integer) and not (
            limits.min <= value <= limits.max
        ):
            raise ValueError(
                f"{name!r} must hold int64 values, between {limits.min} and "
                f"{limits.max}, got {value}"
            )
