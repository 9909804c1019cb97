"""Addresses of this machine for processes that find each other."""

import socket


def free_addresses(count):
    """As many "localhost:port" that nobody listens to, all different."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses
