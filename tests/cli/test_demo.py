import json

import pytest

from hgr_tf.cli.main import main


def run_demo(folder, capfd):
    """Runs the demo and returns what it printed."""
    with pytest.raises(SystemExit) as end:
        main(["demo", "--output", str(folder), "--rows", "2000"])
    out, err = capfd.readouterr()
    assert end.value.code == 0, err
    return out


def test_demo_goes_from_logs_to_a_prediction(tmp_path, capfd):
    out = run_demo(tmp_path / "demo", capfd)
    assert "plain" in out and "hierarchical" in out
    assert (tmp_path / "demo/models/ranker/1/saved_model.pb").exists()
    probability = json.loads(out.strip().splitlines()[-1])["probability"]
    assert 0 < probability < 1


@pytest.mark.slow
def test_demo_runs_again_to_the_same_prediction(tmp_path, capfd):
    first, second = (run_demo(tmp_path / "demo", capfd) for _ in range(2))
    assert (tmp_path / "demo/models/ranker/2/saved_model.pb").exists()
    assert first.splitlines()[-1] == second.splitlines()[-1]
