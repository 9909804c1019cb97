import pytest

from tests.export.server.processes import local_server, tensorflow_model_server

SERVERS = {"local": local_server, "tensorflow_model_server": tensorflow_model_server}


@pytest.fixture(scope="package", params=SERVERS)
def server(request, base_path):
    """Every protocol test runs against each server that there is."""
    with SERVERS[request.param](base_path) as running:
        yield running


@pytest.fixture(scope="package")
def local(base_path):
    with local_server(base_path) as running:
        yield running
