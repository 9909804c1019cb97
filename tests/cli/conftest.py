"""The command line, called as a user calls it."""

import pytest

from hgr_tf.cli.main import main
from tests.prepared import rows, write_prepared

CONFIG = """
data: {path: data}
ranker: {type: mlp, embedding_dim: 4, hidden_units: [8]}
training: {batch_size: 128, epochs: 1, learning_rate: 0.03}
"""


@pytest.fixture
def run(capsys):
    """Runs a line of arguments; gives the exit code, standard output and error."""

    def run(line):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A module's folder, with prepared data in `data` and a config, `small.yaml`."""
    place = tmp_path_factory.mktemp("place")
    write_prepared(place / "data", {"train": rows(1000, 0), "val": rows(900, 1)})
    (place / "small.yaml").write_text(CONFIG)
    return place


@pytest.fixture
def trained(run, inside, place):
    """The folder of a run of `small.yaml`; trained once in a module."""
    assert run("train --config small.yaml")[0] == 0
    return place / "runs" / "small"


@pytest.fixture
def inside(place, monkeypatch):
    """Runs a test in the module's folder `place`, which its paths are relative to."""
    monkeypatch.chdir(place)
