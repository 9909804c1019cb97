"""The REST API of the serving protocol."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.requests import (
    DEFAULT_SIGNATURE,
    run_classify,
    run_predict,
    run_regress,
)
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.server import json_requests
from hgr_tf.export.server.grpc_services import METADATA, metadata
from hgr_tf.export.server.model_versions import ModelVersions
from hgr_tf.export.versions import LARGEST_VERSION

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>[0-9]{1,19})|/labels/(?P<label>[^/:]+))?"
    r"(?::(?P<method>predict|classify|regress)|/(?P<metadata>metadata))?"
)
_HTTP: dict[int, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.NOT_FOUND: 404,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
_MOST_DIGITS = 18
"""Digits of a Content-Length; a longer one is beyond any limit and maybe int()."""

_IDLE_SECONDS = 15
"""After which a connection that sends nothing is closed: it holds a thread."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\n\r\n"
    b'{"error": "all connections are taken"}'
)
log = logging.getLogger(__name__)


class RestServer(ThreadingHTTPServer):
    """Answers POST :predict, :classify, :regress, GET status and metadata.

    Args:
        models: What to serve.
        address: (host, port); port 0 takes a free one.
        max_message_bytes: Larger bodies get 413.
        max_connections: Further ones get 503.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        models: ModelVersions,
        address: tuple[str, int],
        max_message_bytes: int,
        max_connections: int = 256,
    ):
        super().__init__(address, _Handler)
        self.models = models
        self.max_message_bytes = max_message_bytes
        self._places = threading.BoundedSemaphore(max_connections)

    # The server's own types allow for UDP, whose requests are no sockets.
    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives the connection a thread, or a refusal when there is no place."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.setblocking(False)  # whatever the client does, others come
            request.sendall(_FULL)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a client that goes away is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # answers of 0.9 have no status
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        # A body means nothing here, but must not be taken for the next request.
        if self._body(default_size="0") is not None:
            self._answer(self._describe)

    def do_POST(self) -> None:
        body = self._body()
        if body is not None:
            self._answer(lambda match: self._run(match, body))

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Says in JSON what http.server says in HTML: what is no request to it."""
        self.close_connection = True  # it is unknown where the next one starts
        self._reply(code, {"error": message or HTTPStatus(code).phrase})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _body(self, default_size: str = "") -> bytes | None:
        """The request's body; None when its size is refused, which is answered."""
        size = self.headers.get("Content-Length", default_size)
        limit = self.server.max_message_bytes
        if not size.isdecimal() or "Transfer-Encoding" in self.headers:
            self.send_error(411, "Content-Length is required")
        elif len(size) > _MOST_DIGITS or int(size) > limit:
            self.send_error(413, f"the body must have at most {limit} bytes")
        else:
            return self.rfile.read(int(size))
        return None

    def _answer(self, respond: Callable[[re.Match[str]], dict[str, Any]]) -> None:
        path = urllib.parse.urlsplit(self.path).path
        try:
            match = _PATH.fullmatch(path)
            is_method = match is not None and match["method"] is not None
            if match is None or is_method != (self.command == "POST"):
                raise json_requests.invalid(f"Malformed request: {self.command} {path}")
            status, message = 200, respond(match)
        except SessionError as error:
            status, message = _HTTP.get(error.code, 500), {"error": error.message}
        except Exception:
            log.exception("%s %s", self.command, path)
            status, message = 500, {"error": "internal error, see the server's log"}
        self._reply(status, message)

    def _reply(self, status: int, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _describe(self, match: re.Match[str]) -> dict[str, Any]:
        models = self.server.models
        spec = _spec(match)
        if not match["metadata"]:
            return _to_dict(models.status(spec))
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=[METADATA]
        )
        response = metadata(models, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[METADATA].Unpack(signatures)
        return {
            "model_spec": _to_dict(response.model_spec),
            "metadata": {METADATA: _to_dict(signatures)},
        }

    def _run(self, match: re.Match[str], body: bytes) -> dict[str, Any]:
        message = json_requests.parse(body)
        spec = _spec(match)
        name = message.get("signature_name", "")
        if not isinstance(name, str):
            raise json_requests.invalid("'signature_name' key must be a string value.")
        spec.signature_name = name
        with self.server.models.session(spec) as (_, session):
            if match["method"] == "predict":
                return _predict(session, spec, message)
            if match["method"] == "classify":
                request = classification_pb2.ClassificationRequest(model_spec=spec)
                json_requests.fill_examples(request.input, message)
                return json_requests.classify_response(run_classify(session, request))
            request = regression_pb2.RegressionRequest(model_spec=spec)
            json_requests.fill_examples(request.input, message)
            return json_requests.regress_response(run_regress(session, request))


def _predict(
    session: ServingSession, spec: model_pb2.ModelSpec, message: dict[str, Any]
) -> dict[str, Any]:
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in session.signatures:
        raise json_requests.invalid(
            f'Serving signature name: "{name}" not found in signature def'
        )
    request = predict_pb2.PredictRequest(model_spec=spec)
    inputs = session.signatures[name].inputs
    format_ = json_requests.fill_predict(request, message, inputs)
    return json_requests.predict_response(run_predict(session, request), format_)


def _spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(match["name"]))
    if match["version"]:
        version = int(match["version"])
        if version > LARGEST_VERSION:
            raise json_requests.invalid(
                f"Failed to convert version: {version} to numeric."
            )
        spec.version.value = version
    if match["label"]:
        spec.version_label = match["label"]
    return spec


def _to_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)
