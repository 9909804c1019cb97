"""A run with several labels, from training to its figures and calibrations."""

import json

import pytest

from hgr_tf.calibration.heads import HeadCalibrations, load_calibration
from tests.prepared import TWO_LABELS, rows_of_two_labels, write_prepared

CONFIG = """
ranker: {type: shared_bottom, embedding_dim: 4, hidden_units: [8], tower_units: [4]}
method: {ranking_loss: list_ce, lists: batch, heads: {purchase: {weight: 0.5}}}
training:
  batch_size: 200
  epochs: 2
  learning_rate: 0.03
  early_stopping: {metric: purchase/auc}
seed: 3
"""
FIGURES = ["gauc", "auc", "log_loss", "pcoc", "ece"]


pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture(scope="module")
def data(place):
    """A prepared folder of two labels, and the config of a run, `shop.yaml`."""
    splits = {
        "train": rows_of_two_labels(1200, seed=0),
        "val": rows_of_two_labels(900, seed=1),
    }
    (place / "shop.yaml").write_text(CONFIG)
    return write_prepared(place / "shop", splits, encoding=TWO_LABELS)


@pytest.fixture
def shop(run, inside, place, data):
    """The folder of a run with the heads click and purchase; trained once."""
    code, out, err = run("train --config shop.yaml --data shop")
    assert code == 0, err
    assert "shop: click" in out and "shop: purchase" in out
    return place / "runs" / "shop"


@pytest.fixture(scope="module")
def clicks():
    return sum(row["__label_click__"][0] for row in rows_of_two_labels(900, seed=1))


def test_a_run_has_the_figures_of_each_head(shop):
    metrics = json.loads((shop / "metrics.json").read_text())
    for head in ("click", "purchase"):
        assert {f"{head}/{name}" for name in FIGURES} < set(metrics)
    (epoch, *_) = json.loads((shop / "history.json").read_text())
    assert {"val_purchase/auc", "click/ranking_loss", "purchase/occupancy"} < set(epoch)


def test_slices_and_permutations_are_of_each_head(shop, run, clicks):
    options = "--slice device --k 3 --permute item --permutations 2 --json"
    code, out, err = run(f"evaluate --run runs/shop {options}")
    assert code == 0, err
    told = json.loads(out)
    assert {"click/all", "click/device", "purchase/all", "purchase/device"} == set(
        told["slices"]
    )
    (whole,), (of_clicks,) = (
        told["slices"][f"{head}/all"] for head in ("click", "purchase")
    )
    assert (whole["rows"], of_clicks["rows"]) == (900, clicks)
    # Not AUC: the run's is over thresholds.
    for name in ("gauc", "log_loss"):
        value = of_clicks["metrics"][name]["value"]
        assert value == pytest.approx(told[f"purchase/{name}"], abs=1e-5)
    assert set(told["importance"]) == {"click/item", "purchase/item"}


def test_heads_are_calibrated_one_by_one_or_together(shop, run, clicks):
    code, out, err = run("calibrate --run runs/shop --json")
    assert code == 0, err
    found = HeadCalibrations.model_validate_json(out)
    assert list(found.heads) == ["click", "purchase"]
    purchase = found.heads["purchase"]
    assert purchase.fitted_rows + purchase.measured_rows == clicks
    line = "calibrate --run runs/shop --head purchase --method isotonic"
    code, out, err = run(line)
    assert code == 0 and "purchase: isotonic" in out and "click" not in out
    kept = load_calibration(shop / "calibration.json").heads
    assert kept["click"] == found.heads["click"]
    assert kept["purchase"].function.method == "isotonic"
    code, _, err = run("calibrate --run runs/shop --head buy")
    assert code == 1 and "which has ['click', 'purchase'], got 'buy'" in err


@pytest.mark.slow
def test_a_gate_goes_by_the_names_of_heads(shop, run, place):
    gate = "split: val\nmetrics: {purchase/auc: {at_least: 0.99}, click/auc: "
    (place / "gate.yaml").write_text(f"{gate}{{at_least: 0.4}}}}\n")
    line = "export --run runs/shop --output shops --gate gate.yaml"
    code, _, err = run(line)
    assert code == 1 and "purchase/auc must be at least 0.99" in err
    assert "click/auc must" not in err
    (place / "gate.yaml").write_text("split: val\nmetrics: {auc: {at_least: 0.4}}\n")
    code, _, err = run(line)
    assert code == 1 and "['click/auc', 'purchase/auc'], got 'auc'" in err


def test_a_metric_of_no_head_stops_no_training(run, shop, place):
    (place / "wrong.yaml").write_text(CONFIG.replace("purchase/auc", "buy/auc"))
    code, _, err = run("train --config wrong.yaml --data shop")
    assert code == 1 and "['click/auc', 'purchase/auc'], got 'buy/auc'" in err


def test_a_report_has_a_row_for_each_head(run, shop):
    assert run("report runs/shop --output shop.html")[0] == 0
    page = (shop.parent.parent / "shop.html").read_text()
    assert "shop: click" in page and "shop: purchase" in page
