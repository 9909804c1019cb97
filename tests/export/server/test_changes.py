"""A server whose folder changes under load: never a refusal or a wrong answer."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import requests as http
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec

from hgr_tf.export import export_for_serving
from hgr_tf.export.client import Client
from hgr_tf.export.runtime.replay_warmup import FILE
from hgr_tf.export.server.model_versions import ModelVersions
from hgr_tf.export.versions import (
    next_version,
    prune,
    publish,
    roll_back,
    staging_folder,
    versions,
)
from tests.export.server.processes import MODEL, local_server

INPUTS = {"x": np.ones(2, np.float32)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A model small enough to be loaded many times a second."""
    x = tf.keras.Input((), name="x")
    column = tf.keras.layers.Reshape((1,))(x)
    ranker = tf.keras.Model({"x": x}, tf.keras.layers.Dense(1)(column))
    return export_for_serving(ranker, tmp_path_factory.mktemp("tiny"))


def publish_copy(built, base_path):
    staged = staging_folder(base_path)
    shutil.copytree(built, staged)
    return publish(staged, base_path, next_version(base_path))


class Load:
    """Clients that ask as fast as they can, and what they met."""

    def __init__(self, address, clients):
        self._address = address
        self._stop = threading.Event()
        self.answers, self.errors = 0, []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self):
        # No retries: a refusal must be seen.
        with Client(self._address, MODEL, attempts=1, timeout_seconds=30) as client:
            while not self._stop.is_set():
                try:
                    scores = client.predict(INPUTS)["probabilities"]
                    assert scores.shape == (2,) and np.isfinite(scores).all()
                    self.answers += 1
                except Exception as error:
                    self.errors.append(error)


def failed_versions(server):
    url = f"http://{server.rest}/v1/models/{MODEL}"
    statuses = http.get(url, timeout=10).json()["model_version_status"]
    return [s for s in statuses if s.get("status", {}).get("error_code", "OK") != "OK"]


def wait_until_served(address, version, seconds=30):
    end = time.monotonic() + seconds
    with Client(address, MODEL) as client:
        while client.versions()[:1] != [version]:
            assert time.monotonic() < end, f"{client.versions()}, expected {version}"
            time.sleep(0.05)


def assert_every_version_loads(server):
    # One that was withdrawn while it loaded is forgotten at the next look.
    time.sleep(0.2)
    assert not failed_versions(server)


@pytest.mark.fault(
    "serving",
    "200 versions and rollbacks under load",
    "no request is refused",
)
@pytest.mark.slow
def test_200_publishes_with_rollbacks_refuse_no_request(built, tmp_path):
    publish_copy(built, tmp_path)
    as_fast_as_it_can = ("--poll-seconds", "0.001")
    with (
        local_server(tmp_path, *as_fast_as_it_can) as server,
        Load(server.grpc, clients=2) as load,
    ):
        for i in range(200):
            publish_copy(built, tmp_path)
            if i % 20 == 19:
                roll_back(tmp_path)
            if i % 50 == 49:
                wait_until_served(server.grpc, versions(tmp_path)[-1])
                assert_every_version_loads(server)
                prune(tmp_path, 2)
        wait_until_served(server.grpc, versions(tmp_path)[-1])
        assert_every_version_loads(server)
    assert not load.errors
    assert load.answers > 100


def test_rollback_serves_the_version_before(built, tmp_path):
    for _ in range(2):
        publish_copy(built, tmp_path)
    with local_server(tmp_path) as server:
        wait_until_served(server.grpc, 2)
        roll_back(tmp_path)
        wait_until_served(server.grpc, 1)


@pytest.mark.fault(
    "serving",
    "a version is withdrawn while it loads",
    "it is not served",
)
def test_a_version_withdrawn_while_it_loads_is_not_served(built, tmp_path, monkeypatch):
    def withdraw(session, folder):
        if folder.name == "2":
            roll_back(tmp_path)

    for _ in range(2):
        publish_copy(built, tmp_path)
    monkeypatch.setattr("hgr_tf.export.server.model_versions.replay_warmup", withdraw)
    models = ModelVersions(MODEL, tmp_path, poll_seconds=60)
    models.start()
    with models.session(ModelSpec(name=MODEL)) as (version, _):
        assert version == 1
    models.stop()


UNPARSABLE_RECORD = (1).to_bytes(8, "little") + bytes(4) + b"\xff" + bytes(4)


@pytest.mark.fault(
    "serving",
    "a new version cannot be loaded",
    "the one before goes on answering",
)
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("saved_model.pb", b"broken"),
        (FILE, b"broken"),
        (FILE, UNPARSABLE_RECORD),
    ],
    ids=["model", "warm-up file", "warm-up record"],
)
def test_a_broken_version_leaves_the_one_before_serving(built, tmp_path, file, content):
    publish_copy(built, tmp_path)
    with local_server(tmp_path) as server, Load(server.grpc, clients=1) as load:
        staged = staging_folder(tmp_path)
        shutil.copytree(built, staged)
        (staged / file).write_bytes(content)
        publish(staged, tmp_path, 2)
        time.sleep(0.5)
        wait_until_served(server.grpc, 1)
        assert [status["version"] for status in failed_versions(server)] == ["2"]
        publish_copy(built, tmp_path)
        wait_until_served(server.grpc, 3)
    assert not load.errors


@pytest.mark.fault(
    "serving",
    "an export is killed beside a running server",
    "the version before goes on answering",
)
def test_kill_9_in_the_middle_of_a_publish_leaves_the_version_before(built, tmp_path):
    publish_copy(built, tmp_path)
    code = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {os.getcwd()!r})
        from hgr_tf.export.versions import staging_folder
        staged = staging_folder({str(tmp_path)!r})
        staged.mkdir()
        file = (staged / "saved_model.pb").open("wb")
        file.write(Path({str(built)!r}, "saved_model.pb").read_bytes()[:1000])
        file.flush()
        print("half way", flush=True)
        sys.stdin.read()
    """
    with local_server(tmp_path) as server, Load(server.grpc, clients=1) as load:
        publisher = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with publisher:
            publisher.stdout.readline()
            publisher.send_signal(signal.SIGKILL)
        time.sleep(0.3)
        wait_until_served(server.grpc, 1)
        publish_copy(built, tmp_path)
        wait_until_served(server.grpc, 2)
    assert not load.errors


def hold_64_clients(built, base_path, seconds):
    """Answers a second, and the growth of the server's memory after a while."""
    publish_copy(built, base_path)
    with local_server(base_path) as server:
        with Load(server.grpc, clients=64) as load:
            time.sleep(seconds / 3)
            before = server.rss_bytes()
            time.sleep(seconds * 2 / 3)
            after = server.rss_bytes()
        assert not load.errors
        return load.answers / seconds, after - before


def test_64_clients_at_once(built, tmp_path):
    rate, growth = hold_64_clients(built, tmp_path, seconds=4)
    assert rate > 50
    assert growth < 32 << 20


@pytest.mark.slow
def test_64_clients_for_60_seconds(built, tmp_path):
    rate, growth = hold_64_clients(built, tmp_path, seconds=60)
    assert rate > 50
    assert growth < 16 << 20
