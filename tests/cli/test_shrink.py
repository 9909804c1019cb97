import json
import shutil
from pathlib import Path

import pytest

from hgr_tf.comparing.figures import figures
from hgr_tf.comparing.gate import Candidate, _served_slices
from hgr_tf.comparing.gate_config import GateConfig
from hgr_tf.comparing.predicting import predict_heads
from hgr_tf.export.options import ExportOptions
from hgr_tf.training import load_run
from hgr_tf.training.run_data import load_run_and_data

CALIBRATION = """
{"function": {"method": "platt", "slope": 1.0, "intercept": 0.0}, "split": "val",
 "seed": 0, "halves": "users", "fitted_rows": 1, "measured_rows": 1,
 "before": %s, "after": %s}
""".replace(
    "%s",
    '{"pcoc": null, "ece": null, "log_loss": null, "gauc": null, "auc": null, '
    '"tied": null}',
)
"""As an earlier version wrote it, of a run whose tables are not shrunk."""

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def fresh(place, run):
    """The folder of the run, trained once, without what commands left in it."""
    trained = place / "runs" / "small"
    if not trained.exists():
        assert run("train --config small.yaml")[0] == 0
    for file in ("shrinkage.json", "shrinkage_counts.npz", "calibration.json"):
        (trained / file).unlink(missing_ok=True)
    shutil.rmtree("models", ignore_errors=True)
    return trained


def test_evaluate_takes_it_up_and_0_undoes_it(fresh, run):
    plain = load_run(fresh).metrics["log_loss"]
    (fresh / "calibration.json").write_text(CALIBRATION)
    code, out, _ = run("shrink --run runs/small --tau 20")
    assert code == 0 and "user: tau 20, measured on rows of other users of 'val'" in out
    assert "calibration.json: removed" in out
    assert not (fresh / "calibration.json").exists()
    code, out, _ = run("evaluate --run runs/small --json")
    assert code == 0 and abs(json.loads(out)["log_loss"] - plain) > 1e-4
    assert run("calibrate --run runs/small --json")[0] == 0
    assert load_run(fresh).calibration.shrinkage == {"user": 20.0}
    assert run("shrink --run runs/small --tau 0")[0] == 0
    assert not (fresh / "calibration.json").exists()
    assert load_run(fresh).shrinkage.taus == {}


@pytest.mark.slow
def test_calibrate_and_export_take_it_up(fresh, run):
    assert run("shrink --run runs/small --tau 20")[0] == 0
    code, out, _ = run("export --run runs/small --output models --warmup 2")
    assert code == 0 and "verified and published, shrunk (user: tau 20)" in out
    assert ExportOptions.load("models/1").shrinkage == {"user": 20.0}
    assert run("calibrate --run runs/small")[0] == 0
    before = load_run(fresh).calibration.before.log_loss
    found = load_run(fresh).shrinkage.tables["user"].after[""]["log_loss"]
    assert before == pytest.approx(found)  # the halves are the same
    assert run("shrink --run runs/small --tau 20")[0] == 0
    assert (fresh / "calibration.json").exists()
    assert run("shrink --run runs/small --tau 0")[0] == 0
    assert not (fresh / "calibration.json").exists()


@pytest.mark.slow
def test_tables_of_several_features_and_a_choice_for_programs(fresh, run):
    assert run("shrink --run runs/small --tau 20")[0] == 0
    code, out, _ = run("shrink --run runs/small --feature item --tau 1 --tau 9 --json")
    assert code == 0
    told = json.loads(out)
    assert list(told["tried"]) == ["0.0", "1.0", "9.0"] and told["tau"] in (0, 1, 9)
    stored = json.loads((fresh / "shrinkage.json").read_text())["tables"]
    assert stored["item"] == told and stored["user"]["tau"] == 20


@pytest.mark.slow
def test_a_run_that_is_trained_anew_is_not_shrunk(fresh, run):
    assert run("shrink --run runs/small --tau 20")[0] == 0
    assert run("train --config small.yaml --overwrite")[0] == 0
    assert load_run(fresh).shrinkage is None


@pytest.mark.slow
def test_a_gate_judges_a_served_version_as_it_was_exported(fresh, run, tmp_path):
    """A run may be shrunk anew after the version that is served was exported."""
    assert run("shrink --run runs/small --tau 20")[0] == 0
    loaded, data = load_run_and_data(fresh, shrunk=True)
    rows = predict_heads(loaded.model, data, "val", [])[""].predictions
    shrunk = figures(rows)["log_loss"]
    assert run("shrink --run runs/small --tau 0")[0] == 0
    ExportOptions(("serving_default",), shrinkage={"user": 20.0}).save(tmp_path)
    config = GateConfig.from_yaml(f"""
split: val
metrics: {{log_loss: {{rise_at_most: 0.0}}}}
served: {{run: {fresh}}}
""")
    loaded, data = load_run_and_data(fresh)
    candidate = Candidate(loaded, None)
    found = _served_slices(config, candidate, data, tmp_path, 0)
    assert found["all"][0].metrics["log_loss"].value == pytest.approx(shrunk, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ("--run nowhere", 1, "nowhere: no config.yaml: not a training run"),
        ("--run runs/small --split train", 1, "that the run was not trained on"),
        ("--run runs/small --feature price", 1, "the feature must be one with ids"),
        ("--run runs/small --tau -1", 2, "'--tau'"),
    ],
)
def test_bad_input_is_one_line(options, code, message, fresh, run):
    found, _, err = run(f"shrink {options}")
    assert found == code and message in err
    assert sum(line.startswith("hgr-tf: ") for line in err.splitlines()) == 1
    assert not Path("runs/small/shrinkage.json").exists()
