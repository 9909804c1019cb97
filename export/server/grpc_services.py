"""The gRPC services of the serving protocol."""

from __future__ import annotations

import functools
from concurrent import futures

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.requests import run_classify, run_predict, run_regress
from hgr_tf.export.server.model_versions import ModelVersions

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


def _refusals_to_statuses(method):
    @functools.wraps(method)
    def wrapped(self, request, context):
        try:
            return method(self, request, context)
        except SessionError as error:
            context.abort(
                _STATUS.get(error.code, grpc.StatusCode.UNKNOWN), error.message
            )

    return wrapped


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress and GetModelMetadata."""

    def __init__(self, models: ModelVersions):
        self._models = models

    @_refusals_to_statuses
    def Predict(self, request, context):  # noqa: N802
        """Runs any signature on tensors."""
        return self._run(run_predict, request, context)

    @_refusals_to_statuses
    def Classify(self, request, context):  # noqa: N802
        """Runs a classify signature on tf.Examples."""
        return self._run(run_classify, request, context)

    @_refusals_to_statuses
    def Regress(self, request, context):  # noqa: N802
        """Runs a regress signature on tf.Examples."""
        return self._run(run_regress, request, context)

    @_refusals_to_statuses
    def GetModelMetadata(self, request, context):  # noqa: N802
        """Describes the signatures."""
        return metadata(self._models, request)

    def _run(self, run, request, context):
        timeout_ms = _timeout_ms(context)
        with self._models.session(request.model_spec) as (version, session):
            response = run(session, request, timeout_ms)
        fill_spec(response.model_spec, request.model_spec, version)
        return response


def _timeout_ms(context) -> int | None:
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
    def GetModelStatus(self, request, context):  # noqa: N802
        """Says which versions are loaded."""
        return self._models.status(request.model_spec)


def metadata(models: ModelVersions, request):
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


def fill_spec(spec, asked, version: int) -> None:
    """Says in a response which model, version and signature answered."""
    spec.name = asked.name
    spec.version.value = version
    spec.signature_name = asked.signature_name
