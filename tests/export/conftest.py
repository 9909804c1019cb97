import pytest

from hgr_tf.export import export_for_serving
from tests.export.models import ENCODING, trained_model


@pytest.fixture(scope="session")
def model():
    return trained_model()


@pytest.fixture(scope="session")
def base_path(model, tmp_path_factory):
    """A model with one version, exported with the defaults."""
    base_path = tmp_path_factory.mktemp("models") / "ranker"
    export_for_serving(model, base_path, encoding=ENCODING)
    return base_path


@pytest.fixture(scope="session")
def exported(base_path):
    return base_path / "1"
