import json
from pathlib import Path

import numpy as np
import pytest

from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.training import load_run

pytestmark = pytest.mark.usefixtures("inside")


@pytest.mark.parametrize(
    "options", ["--method platt", "--method isotonic", "--method per-slice --by device"]
)
def test_a_calibration_is_written_and_printed(options, trained, run):
    code, out, _ = run(f"calibrate --run runs/small {options}")
    assert code == 0 and "before" in out and "of 'val'" in out
    stored = json.loads((trained / "calibration.json").read_text())
    assert stored["function"]["method"] == options.split()[1]
    for when in ("before", "after"):
        for name in ("pcoc", "ece", "gauc"):
            assert f"{stored[when][name]:.4f}" in out
    code, again, _ = run(f"calibrate --run runs/small {options} --json")
    assert code == 0 and json.loads(again) == stored


@pytest.mark.slow
def test_export_serves_it_unless_told_not_to(trained, run):
    code, _, err = run("calibrate --run runs/small --split train")
    assert code == 1 and "that the run was not trained on, got 'train'" in err
    assert run("calibrate --run runs/small --method platt")[0] == 0
    line = "export --run runs/small --output models --warmup 2"
    code, out, _ = run(line)
    assert code == 0 and "verified and published, calibrated (platt)" in out
    code, out, _ = run(f"{line} --no-calibration")
    assert code == 0 and "calibrated" not in out
    request = json.loads(Path("models/1/assets.extra/request.json").read_text())
    (row,) = request["instances"]
    inputs = {
        name: np.array([value], np.float32 if isinstance(value, float) else None)
        for name, value in row.items()
    }
    calibrated, plain = (
        ServingSession(f"models/{version}").call("serving_default", inputs)[
            "probabilities"
        ][0]
        for version in (1, 2)
    )
    line = load_run(trained).calibration.function
    logit = np.log(plain / (1 - plain))
    expected = 1 / (1 + np.exp(-(line.slope * logit + line.intercept)))
    assert calibrated == pytest.approx(expected, abs=1e-6)
    assert calibrated != pytest.approx(plain, abs=1e-6)


@pytest.mark.slow
def test_training_anew_drops_it(trained, run):
    assert run("calibrate --run runs/small")[0] == 0
    assert run("train --config small.yaml")[0] == 0
    assert (trained / "calibration.json").exists()
    assert run("train --config small.yaml --overwrite")[0] == 0
    assert not (trained / "calibration.json").exists()
    assert load_run(trained).calibration is None


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ("--run nowhere", 1, "nowhere: no config.yaml: not a training run"),
        ("--run runs/small --split tset", 1, "no split 'tset'"),
        ("--run runs/small --method per-slice", 1, "--by must name a feature"),
        ("--run runs/small --by device", 1, "--by must go with the method"),
        ("--run runs/small --method beta", 2, "'beta' is not one of"),
    ],
)
def test_bad_input_is_one_line(options, code, message, trained, run):
    found, _, err = run(f"calibrate {options}")
    assert found == code and message in err
    assert sum(line.startswith("hgr-tf: ") for line in err.splitlines()) == 1
