"""`python -m hgr_tf.export.server`: serves a model until interrupted."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import socket
import sys
import threading
import time

_SIGNAL_SECONDS = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Serves; returns the exit code.

    Writes one line when it is ready:
    "serving ranker: grpc 127.0.0.1:8500, rest 127.0.0.1:8501", and a second one with a
    request to try, where the export left one.
    """
    options = _parser().parse_args(arguments)
    signals = []  # a lock in a handler may be held by what it interrupts
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    from hgr_tf.export.runtime.protos import use_protos_only

    use_protos_only()
    from hgr_tf.export.runtime.c_library import SessionError
    from hgr_tf.export.runtime.requests import REQUEST_FILE
    from hgr_tf.export.server.grpc_services import make_server
    from hgr_tf.export.server.model_versions import ModelVersions
    from hgr_tf.export.server.rest import RestServer

    models = ModelVersions(
        options.name, options.model, options.poll_seconds, options.session_threads
    )
    try:
        for option, port in (
            ("--port", options.port),
            ("--rest-port", options.rest_port),
        ):
            _check_free(options.host, port, option)
        models.start()
        grpc_server, grpc_port = make_server(
            models,
            f"{options.host}:{options.port}",
            options.threads,
            options.max_message_bytes,
        )
        rest_server = RestServer(
            models, (options.host, options.rest_port), options.max_message_bytes
        )
    except (SessionError, OSError, RuntimeError) as error:
        print(f"hgr-tf serve: {error}", file=sys.stderr)
        return 1
    grpc_server.start()
    threading.Thread(target=rest_server.serve_forever, daemon=True).start()
    print(
        f"serving {options.name}: grpc {options.host}:{grpc_port}, "
        f"rest {options.host}:{rest_server.server_port}",
        flush=True,
    )
    request = models.folder / REQUEST_FILE
    if request.exists():
        rest = f"http://{options.host}:{rest_server.server_port}"
        url = f"{rest}/v1/models/{options.name}:predict"
        print(f"try: curl -d @{shlex.quote(str(request))} {url}", flush=True)
    # A thread of TensorFlow's or gRPC's may take the signal, which does not wake
    # this one; Python runs the handler here, when the sleep ends.
    while not signals:
        time.sleep(_SIGNAL_SECONDS)
    rest_server.shutdown()
    grpc_server.stop(grace=options.grace_seconds).wait()
    models.stop()
    return 0


def _check_free(host: str, port: int, option: str) -> None:
    """Raises `OSError` that names the option when another program has the port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f"{host}:{port} cannot be listened on ({error.strerror}): "
                f"choose another {option}, or 0 for a free one"
            ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("hgr-tf serve", description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--name", default="ranker")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--rest-port", type=int, default=8501)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--session-threads", type=int, default=0)
    parser.add_argument("--max-message-bytes", type=int, default=64 << 20)
    parser.add_argument("--poll-seconds", type=float, default=1.0)
    parser.add_argument("--grace-seconds", type=float, default=5.0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
