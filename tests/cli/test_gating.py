import json

import pytest

GATE = """
split: val
metrics: {gauc: {at_least: 0.01, drop_at_most: 0.0}, pcoc: {at_most: 9}}
slices: [device]
slice_metrics: {log_loss: {at_most: 9, rise_at_most: 0.0}}
slice_rows: 10
top_k: {k: 3, changed_at_most: 0.0, items: 20, requests: 10}
latency: {p95_ms_at_most: 10000, rows: 5, calls: 20}
size: {mb_at_most: 100, rise_at_most: 0.1}
"""

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture(autouse=True)
def gates(place):
    (place / "gate.yaml").write_text(GATE)
    (place / "strict.yaml").write_text(
        "{split: val, metrics: {gauc: {at_least: 0.99}, log_loss: {at_most: 9}}}"
    )


def test_a_gate_publishes_what_passes_and_refuses_what_does_not(run, trained, place):
    """An equal version moves by nothing, so that the tightest comparisons hold."""
    line = "export --run runs/small --output models --warmup 1 --gate"
    code, out, _ = run(f"{line} gate.yaml")
    assert code == 0 and "no version is served" in out
    first = json.loads((place / "models/1/assets.extra/gate.json").read_text())
    assert first["passed"] and first["served_version"] is None
    assert first["rows"] == 900 and first["slices"]["all"][0]["rows"] == 900
    stored = json.loads((trained / "metrics.json").read_text())
    gauc = first["slices"]["all"][0]["metrics"]["gauc"]["value"]
    assert gauc == pytest.approx(stored["gauc"], abs=1e-6)
    code, out, _ = run(f"{line} gate.yaml")
    assert code == 0 and "served: 1" in out
    second = json.loads((place / "models/2/assets.extra/gate.json").read_text())
    assert second["served_version"] == 1
    assert "below the served version's" in str(second["lines"])
    code, out, err = run(f"{line} strict.yaml")
    assert code == 1 and "FAILED" in out
    assert err.splitlines()[-1].startswith(
        "hgr-tf: refused by strict.yaml: gauc must be at least 0.99, got 0."
    )
    assert "log_loss" not in err.splitlines()[-1]
    assert sorted(path.name for path in (place / "models").iterdir()) == ["1", "2"]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("metrics: {}", "`metrics` must name at least one of gauc"),
        ("metrics: {auc: {}}", "metrics.auc: must name a limit"),
    ],
)
def test_a_gate_that_names_no_metric_is_one_line(gate, message, run, place):
    (place / "none.yaml").write_text(f"split: val\n{gate}\n")
    code, _, err = run("export --run runs/small --output none --gate none.yaml")
    assert code == 1 and message in err and "none.yaml: " in err
    assert not (place / "none").exists()


def test_a_gate_goes_with_an_export_alone(run):
    code, _, err = run("export --output models --rollback --gate gate.yaml")
    assert code == 1 and "--gate must not be given with --rollback" in err
