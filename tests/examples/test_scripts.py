import importlib
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a script in a folder of its own; gives its global names."""
    monkeypatch.chdir(tmp_path)
    return lambda name: runpy.run_path(str(EXAMPLES / name))


def test_plug_in_learns_and_saves_the_ranker(run, tmp_path):
    names = run("plug_in.py")
    assert names["model"].history.history["val_gauc"][-1] > 0.6
    assert names["plain"].history.history["val_gauc"][-1] > 0.6
    assert (tmp_path / "ranker.keras").exists()


def imports(name):
    try:
        importlib.import_module(name)
    except ImportError:  # TFRS is installed on Keras 3, and fails there
        return False
    return True


@pytest.mark.parametrize(
    ("script", "library"),
    [
        ("tfrs_task.py", "tensorflow_recommenders"),
        ("tf_ranking_loss.py", "tensorflow_ranking"),
    ],
)
def test_without_its_library_an_example_says_so(run, script, library):
    if imports(library):
        pytest.skip(f"{library} works here")
    with pytest.raises(SystemExit, match=r"needs tensorflow-.*Keras 2 alone"):
        run(script)


def test_tfrs_task_learns(run):
    pytest.importorskip("tensorflow_recommenders", exc_type=ImportError)
    model = run("tfrs_task.py")["model"]
    assert model.history.history["val_gauc"][-1] > 0.6


def test_tf_ranking_loss_falls(run):
    pytest.importorskip("tensorflow_ranking")
    values = run("tf_ranking_loss.py")["values"]
    assert values[-1] < values[0] - 0.01


@pytest.mark.slow
def test_qa_trains_and_answers(run, capsys):
    pytest.importorskip("tokenizers", reason="the extra qa is not installed")
    scores = run("qa.py")["main"](questions=64, epochs=2)
    assert 0 <= scores["exact_match"] <= 1
    assert "exact match over all spans" in capsys.readouterr().out
