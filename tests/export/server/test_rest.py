"""The REST server's connections: a client that says nothing is in nobody's way."""

import contextlib
import signal
import socket
import threading
import time

import pytest
import requests as http

from export.server import rest
from tests.export.server.processes import local_server

PLACES = 2


@pytest.fixture
def server():
    """A server without a model, of two connections."""
    server = rest.RestServer(None, ("127.0.0.1", 0), 1000, max_connections=PLACES)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def idle_connections(address, count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(address, timeout=10))
        yield


def refuses(server):
    try:
        url = f"http://127.0.0.1:{server.server_port}/x"
        return http.get(url, timeout=10).status_code == 503
    except http.ConnectionError:  # closed before the request was sent
        return True


def test_a_connection_too_many_is_refused_and_shutdown_is_not_held_up(server):
    with idle_connections(server.server_address, PLACES):
        with socket.create_connection(server.server_address, timeout=10) as third:
            answer = third.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"all connections are taken" in answer
        stopping = threading.Thread(target=server.shutdown, daemon=True)
        stopping.start()
        stopping.join(5)
        assert not stopping.is_alive()


def test_idle_connections_give_their_places_up(server, monkeypatch):
    monkeypatch.setattr(rest._Handler, "timeout", 0.2)
    with idle_connections(server.server_address, PLACES):
        end = time.monotonic() + 10
        while refuses(server):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_any_number_of_signals_ends_a_server(base_path):
    for number in (1, 200):
        with local_server(base_path) as running:
            for _ in range(number):
                running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(10) == 0


def test_sigterm_ends_a_server_full_of_idle_connections(base_path):
    with local_server(base_path) as running:
        host, port = running.rest.split(":")
        with idle_connections((host, int(port)), 300):
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(10) == 0
