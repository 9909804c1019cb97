"""Emulators of object stores, each found where its store would be."""

import base64
import contextlib
import logging
import os
import shutil
import socket
import subprocess
import time

import pytest

AZURITE = shutil.which("azurite-blob")


@contextlib.contextmanager
def google():
    """A bucket of Google's, without credentials."""
    auth = pytest.importorskip("apache_beam.internal.gcp.auth")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server(
        "127.0.0.1", 0, in_memory=True, default_bucket="bucket"
    )
    server.start()
    port = server._api._httpd.server_port
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        patch.setattr(auth, "get_service_credentials", lambda _: None)
        logger = logging.getLogger("gcp_storage_emulator")
        patch.setattr(logger, "disabled", True)  # a line per request
        yield "gs://bucket"
    server.stop()


@contextlib.contextmanager
def amazon():
    """A bucket of Amazon's, by the environment variables of its own client."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ALLOW_HTTP", "true")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    server.stop()


@contextlib.contextmanager
def azure(folder):
    """A container of Azure's, by the environment variable that Beam reads."""
    blob = pytest.importorskip("azure.storage.blob")
    if not AZURITE:
        pytest.skip("needs azurite (npm install -g azurite)")
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = base64.b64encode(b"key").decode()
    command = [AZURITE, "--silent", "--inMemoryPersistence", "--skipApiVersionCheck"]
    command += ["--blobPort", str(port), "--disableTelemetry"]
    accounts = os.environ | {"AZURITE_ACCOUNTS": f"account:{key}"}
    with (
        subprocess.Popen(command, cwd=folder, env=accounts) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        wait_for(port)
        options = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": "account",
            "AccountKey": key,
            "BlobEndpoint": f"http://127.0.0.1:{port}/account",
        }
        text = ";".join(f"{name}={value}" for name, value in options.items())
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        blob.BlobServiceClient.from_connection_string(text).create_container("bucket")
        yield "azfs://account/bucket"
        server.terminate()


def wait_for(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers at port {port}")


@pytest.fixture(scope="module", params=["gs", "s3", "azfs"])
def bucket(request, tmp_path_factory):
    """The path of an empty bucket of each store."""
    stores = {
        "gs": google,
        "s3": amazon,
        "azfs": lambda: azure(tmp_path_factory.mktemp("azurite")),
    }
    with stores[request.param]() as path:
        yield path
