"""The gRPC services of the serving protocol."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.requests import run_classify, run_predict, run_regress
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.server.model_versions import ModelVersions

_Service = TypeVar("_Service")
_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
_STATUS = {code.value[0]: code for code in grpc.StatusCode}
METADATA = "signature_def"
_LONGEST_DEADLINE_SECONDS = 365 * 24 * 3600


def make_server(
    models: ModelVersions, address: str, threads: int, max_message_bytes: int
) -> tuple[grpc.Server, int]:
    """A gRPC server, not yet started.

    Args:
        models: What to serve.
        address: host:port; port 0 takes a free one.
        threads: Requests at once; more wait.
        max_message_bytes: Larger requests get RESOURCE_EXHAUSTED.

    Returns:
        The server and its port.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
        options=[
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.so_reuseport", 0),  # a second server on the port is an error
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(models), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(models), server
    )
    return server, server.add_insecure_port(address)


def _refusals_to_statuses(
    method: Callable[[_Service, _Request, grpc.ServicerContext], _Response],
) -> Callable[[_Service, _Request, grpc.ServicerContext], _Response]:
    @functools.wraps(method)
    def wrapped(
        self: _Service, request: _Request, context: grpc.ServicerContext
    ) -> _Response:
        try:
            return method(self, request, context)
        except SessionError as error:
            status = _STATUS.get(error.code, grpc.StatusCode.UNKNOWN)
            return context.abort(status, error.message)  # which raises

    return wrapped


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress and GetModelMetadata."""

    def __init__(self, models: ModelVersions):
        self._models = models

    @_refusals_to_statuses
    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Runs any signature on tensors."""
        return self._run(run_predict, request, context)

    @_refusals_to_statuses
    def Classify(  # noqa: N802
        self,
        request: classification_pb2.ClassificationRequest,
        context: grpc.ServicerContext,
    ) -> classification_pb2.ClassificationResponse:
        """Runs a classify signature on tf.Examples."""
        return self._run(run_classify, request, context)

    @_refusals_to_statuses
    def Regress(  # noqa: N802
        self,
        request: regression_pb2.RegressionRequest,
        context: grpc.ServicerContext,
    ) -> regression_pb2.RegressionResponse:
        """Runs a regress signature on tf.Examples."""
        return self._run(run_regress, request, context)

    @_refusals_to_statuses
    def GetModelMetadata(  # noqa: N802
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Describes the signatures."""
        return metadata(self._models, request)

    def _run(
        self,
        run: Callable[[ServingSession, _Request, int | None], _Response],
        request: _Request,
        context: grpc.ServicerContext,
    ) -> _Response:
        timeout_ms = _timeout_ms(context)
        with self._models.session(request.model_spec) as (version, session):
            response = run(session, request, timeout_ms)
        fill_spec(response.model_spec, request.model_spec, version)
        return response


def _timeout_ms(context: grpc.ServicerContext) -> int | None:
    remaining = context.time_remaining()
    # A call without a deadline has one in billions of years, past 64 bits of ms.
    if remaining is None or remaining > _LONGEST_DEADLINE_SECONDS:
        return None
    if remaining * 1000 < 1:
        raise SessionError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
    return int(remaining * 1000)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, models: ModelVersions):
        self._models = models

    @_refusals_to_statuses
    def GetModelStatus(  # noqa: N802
        self,
        request: get_model_status_pb2.GetModelStatusRequest,
        context: grpc.ServicerContext,
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Says which versions are loaded."""
        return self._models.status(request.model_spec)


def metadata(
    models: ModelVersions, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Answers a GetModelMetadata request.

    Raises:
        SessionError: INVALID_ARGUMENT: a field other than signature_def, or
            none.
    """
    if not request.metadata_field:
        raise SessionError(
            Code.INVALID_ARGUMENT,
            "GetModelMetadataRequest must specify at least one metadata_field",
        )
    for field in request.metadata_field:
        if field != METADATA:
            raise SessionError(
                Code.INVALID_ARGUMENT, f"Metadata field {field} is not supported"
            )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with models.session(request.model_spec) as (version, session):
        for name, signature in session.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
    response.metadata[METADATA].Pack(signatures)
    fill_spec(response.model_spec, request.model_spec, version)
    return response


def fill_spec(
    spec: model_pb2.ModelSpec, asked: model_pb2.ModelSpec, version: int
) -> None:
    """Says in a response which model, version and signature answered."""
    spec.name = asked.name
    spec.version.value = version
    spec.signature_name = asked.signature_name
