import json

import pytest

pytestmark = pytest.mark.usefixtures("inside")


def errors(err):
    """How many lines are errors: the others tell the stages of the work."""
    lines = err.splitlines()
    assert all(line.startswith(("hgr-tf: ", "[")) for line in lines), lines
    return sum(line.startswith("hgr-tf: ") for line in lines)


def test_train_shows_the_metrics_and_names_the_run_after_the_config(trained, run):
    code, out, _ = run("train --config small.yaml --data data")
    assert code == 0
    metrics = json.loads((trained / "metrics.json").read_text())
    assert "GAUC" in out and f"{metrics['gauc']:.4f}" in out
    assert "finished before; --overwrite trains it anew" in out


def test_options_win_over_the_config(run, place):
    line = "train --config small.yaml --data data --output other --epochs 2 --seed 3"
    assert run(f"{line} --method list_ce_batch")[0] == 0
    text = (place / "other" / "config.yaml").read_text()
    assert "epochs: 2" in text and "seed: 3" in text
    assert "preset: list_ce_batch" in text


def test_evaluate_prints_json_of_any_split(trained, run):
    code, out, _ = run("evaluate --run runs/small --split train --json")
    assert code == 0
    metrics = json.loads(out)
    assert set(metrics) == {"loss", "log_loss", "auc", "gauc", "pcoc", "ece"}
    stored = json.loads((trained / "metrics.json").read_text())
    _, out, _ = run("evaluate --run runs/small --json --batch-size 37")
    assert json.loads(out) == pytest.approx(stored, abs=1e-5)


def test_evaluate_prints_a_table(trained, run):
    code, out, _ = run("evaluate --run runs/small --data data")
    assert code == 0
    assert "LogLoss" in out and "'val' of data" in out


def test_evaluate_swaps_users_and_permutes_features_on_request(trained, run):
    line = "evaluate --run runs/small --user-taste --permute item --permutations 2"
    code, out, _ = run(f"{line} --json")
    assert code == 0
    lost = json.loads(out)["importance"]
    assert set(lost) == {"user_embedding", "item"}
    # Odd users click more: another user's embedding predicts worse.
    assert sum(lost["user_embedding"]["log_loss_rises"]) > 0
    assert len(lost["item"]["gauc_drops"]) == 2
    code, out, _ = run(line)
    mean = sum(lost["item"]["gauc_drops"]) / 2
    assert code == 0 and f"{-mean:+.4f} ±" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --config none.yaml", "none.yaml: cannot be read"),
        ("train --config bare.yaml", "`data.path` must be a folder"),
        ("train --config small.yaml --data .", "no MANIFEST.json"),
        ("train --config small.yaml --data data --epochs 0", "got 0"),
        ("train --config small.yaml --data data --method x", "method.preset"),
        ("evaluate --run runs/small --permute x", "features must be among ['age'"),
        ("evaluate --run nowhere", "nowhere: no config.yaml: not a training run"),
    ],
)
def test_bad_input_is_one_line(line, message, run, trained, place):
    (place / "bare.yaml").write_text("ranker: {type: mlp}\n")
    code, _, err = run(line)
    assert code == 1
    assert message in err and errors(err) == 1


def test_unknown_split_is_one_line(trained, run):
    code, _, err = run("evaluate --run runs/small --split tset")
    assert (code, errors(err)) == (1, 1)
    assert "no split 'tset'; there are ['train', 'val']" in err


def test_evaluate_slices_on_request(trained, run):
    line = "evaluate --run runs/small --slice device --slice user_activity:quantile3"
    code, out, _ = run(f"{line} --json")
    assert code == 0
    told = json.loads(out)
    (whole,) = told["slices"]["all"]
    assert whole["rows"] == 900
    assert whole["metrics"]["gauc"]["value"] == pytest.approx(told["gauc"], abs=1e-6)
    for name in ("device", "user_activity:quantile3"):
        assert sum(one["rows"] for one in told["slices"][name]) == 900
    code, out, _ = run(line)
    assert code == 0 and "hit@10" in out and "device" in out
    assert f"{whole['metrics']['mrr']['value']:.4f}" in out and "…" not in out
    code, _, err = run("evaluate --run runs/small --slice nation")
    assert code == 1 and errors(err) == 1 and "got 'nation'" in err


def test_evaluate_looks_at_the_first_k_rows_of_users(trained, run):
    code, out, _ = run("evaluate --run runs/small --k 3 --k 1 --json")
    (whole,) = json.loads(out)["slices"]["all"]
    assert code == 0 and {"ndcg_1", "ndcg_3", "hit_rate_3"} < set(whole["metrics"])
    code, out, _ = run("evaluate --run runs/small --k 3")
    assert code == 0 and "NDCG@3" in out and "hit@3" in out
    code, _, err = run("evaluate --run runs/small --k 0")
    assert code == 2 and "Invalid value for '--k'" in err
