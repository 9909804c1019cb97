"""Servers of the protocol as processes: the local one, and TensorFlow's."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass

import pytest

MODEL = "ranker"
READY_SECONDS = 60
TENSORFLOW_MODEL_SERVER = "tensorflow_model_server"


@dataclass
class Running:
    process: subprocess.Popen
    grpc: str
    rest: str

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def local_server(base_path, *options):
    """`python -m hgr_tf.export.server` on free ports of this machine."""
    command = [sys.executable, "-m", "hgr_tf.export.server", "--model", str(base_path)]
    command += ["--name", MODEL, "--port", "0", "--rest-port", "0"]
    command += ["--poll-seconds", "0.05", *options]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with stopped_at_the_end(
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
    ) as process:
        line = process.stdout.readline()
        found = re.fullmatch(r"serving ranker: grpc (\S+), rest (\S+)\n", line)
        assert found, f"not ready: {line!r}"
        yield Running(process, *found.groups())


@contextlib.contextmanager
def tensorflow_model_server(base_path):
    """TensorFlow Serving's own server, where it is installed."""
    if shutil.which(TENSORFLOW_MODEL_SERVER) is None:
        pytest.skip(f"{TENSORFLOW_MODEL_SERVER} is not on PATH")
    grpc, rest = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    command = [
        TENSORFLOW_MODEL_SERVER,
        f"--port={grpc.split(':')[1]}",
        f"--rest_api_port={rest.split(':')[1]}",
        f"--model_name={MODEL}",
        f"--model_base_path={base_path}",
    ]
    with stopped_at_the_end(subprocess.Popen(command)) as process:
        _wait_for(f"http://{rest}/v1/models/{MODEL}")
        yield Running(process, grpc, rest)


@contextlib.contextmanager
def stopped_at_the_end(process):
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            if process.stdout:
                process.stdout.close()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(url):
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                if b"AVAILABLE" in response.read():
                    return
        except OSError:
            pass
        assert time.monotonic() < end, f"{url} is not ready"
        time.sleep(0.2)
