"""The REST server's connections: a client that says nothing is in nobody's way."""

import contextlib
import json
import signal
import socket
import threading
import time

import pytest
import requests as http

from hgr_tf.export.server import rest
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


def answers(server, request):
    """What the server says to some bytes, until it closes the connection."""
    with socket.create_connection(server.server_address, timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def test_the_body_of_a_get_is_not_the_next_request(server):
    get = b"GET /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    assert answers(server, get * 2).count(b"HTTP/1.1 400 ") == 2


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Content-Length: " + b"9" * 5000, b"413"),
        (b"Content-Length: -5", b"411"),
        (b"Transfer-Encoding: chunked", b"411"),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_body_of_no_sensible_size_is_refused(server, method, header, status):
    answer = answers(server, method + b" /x HTTP/1.1\r\n" + header + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"PUT /x HTTP/1.1", 501), (b"GET /x y z", 400), (b"GET /x HTTP/3.0", 505)],
)
def test_what_is_no_request_is_refused_in_json(server, request_line, status):
    head, body = answers(server, request_line + b"\r\n\r\n").split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert b"Content-Type: application/json" in head
    assert json.loads(body)["error"]


def test_head_has_no_body(server):
    answer = answers(server, b"HEAD /x HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.endswith(b"\r\n\r\n")


def test_idle_connections_give_their_places_up(server, monkeypatch):
    monkeypatch.setattr(rest._Handler, "timeout", 0.2)
    with idle_connections(server.server_address, PLACES):
        end = time.monotonic() + 10
        while refuses(server):
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.slow
def test_any_number_of_signals_ends_a_server(base_path):
    for number in (1, 200):
        with local_server(base_path) as running:
            for _ in range(number):
                running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(10) == 0


@pytest.mark.fault(
    "serving",
    "SIGTERM with idle connections",
    "the server ends",
)
def test_sigterm_ends_a_server_full_of_idle_connections(base_path):
    with local_server(base_path) as running:
        host, port = running.rest.split(":")
        with idle_connections((host, int(port)), 300):
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(10) == 0
