"""The command line, called as a user calls it."""

import pytest

from hgr_tf.cli.main import main


@pytest.fixture
def run(capsys):
    """Runs a line of arguments; gives the exit code, standard output and error."""

    def run(line):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture
def inside(place, monkeypatch):
    """Runs a test in the module's folder `place`, which its paths are relative to."""
    monkeypatch.chdir(place)
