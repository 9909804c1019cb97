import json

import pytest

from hgr_tf.comparing import CompareConfig, compare
from hgr_tf.comparing.one_run import run_folder
from hgr_tf.comparing.pre_check import what_users_give
from hgr_tf.training import ConfigError
from tests.prepared import rows, write_prepared

TEXT = """
base:
  data: {{path: {path}}}
  ranker: {{type: mlp, embedding_dim: 4, hidden_units: [8]}}
  training: {{batch_size: 256, epochs: 1, learning_rate: 0.03}}
methods:
  log_loss: none
  groups: {{method: {{preset: default, num_levels: 2, codebook_size: 3}}}}
  random_codes: {{method: {{preset: random_codes, num_levels: 2, codebook_size: 3}}}}
controls: {{groups: random_codes}}
pre_check: {{permutations: 2, features: [item]}}
baseline: log_loss
seeds: 2
slices: [device, user_in_training]
{more}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    splits = {"train": rows(1500, seed=0), "val": rows(600, seed=1)}
    return write_prepared(folder, splits)


def config(data, more=""):
    return CompareConfig.from_yaml(TEXT.format(path=data, more=more))


@pytest.fixture(scope="module")
def compared(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("comparison") / "one"
    events = []
    results = compare(
        config(data), output, workers=1, told=lambda *event: events.append(event)
    )
    return output, results, events


def test_every_run_is_trained_and_told_of(compared):
    output, results, events = compared
    assert [event[:2] for event in events].count(("groups", "trained")) == 2
    for method in ("log_loss", "groups"):
        for seed in (1, 2):
            assert (run_folder(output, method, seed) / "FINISHED").exists()
    assert json.loads((output / "results.json").read_text()) == results


def test_figures_are_those_of_the_runs_own_metrics(compared):
    output, results, _ = compared
    metrics = json.loads((run_folder(output, "groups", 1) / "metrics.json").read_text())
    figures = results["methods"]["groups"]["figures"]
    for name in ("log_loss", "pcoc", "ece"):
        assert figures[name]["by_seed"][0] == pytest.approx(metrics[name], abs=1e-5)


def test_the_report_is_one_page_with_every_plot(compared):
    page = (compared[0] / "report.html").read_text()
    assert page.count("<svg") >= 5
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert "groups" in page


@pytest.mark.fault(
    "comparing",
    "a comparison is interrupted",
    "finished runs are not repeated",
)
@pytest.mark.slow
def test_a_finished_run_is_not_repeated(compared, data):
    output, results, _ = compared
    kept = run_folder(output, "log_loss", 1) / "model.weights.h5"
    before = kept.stat().st_mtime_ns
    (run_folder(output, "groups", 2) / "result.json").unlink()
    again = compare(config(data), output, workers=1)
    assert kept.stat().st_mtime_ns == before
    for method in ("log_loss", "groups"):
        figures = results["methods"][method]["figures"]
        assert again["methods"][method]["figures"] == figures


def test_another_comparison_is_refused(compared, data):
    with pytest.raises(ValueError, match="holds another comparison"):
        compare(config(data, "tuning: {trials: 1}"), compared[0])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("tuning: {space: {a: {low: 2, high: 1}}}", "low must be below high"),
        ("colour: red", "colour"),
    ],
)
def test_wrong_configs_are_named(data, more, message):
    with pytest.raises(ConfigError, match=message):
        config(data, more)


def test_a_wrong_field_of_a_method_is_named_before_anything_runs(data):
    text = TEXT.format(path=data, more="").replace(
        "log_loss: none", "log_loss: {rankng: 1}"
    )
    with pytest.raises(ConfigError, match="rankng"):
        CompareConfig.from_yaml(text)


@pytest.mark.slow
def test_every_method_is_tuned_by_the_same_search(data, tmp_path):
    more = "tuning: {trials: 2, space: {training.learning_rate: [0.001, 0.03]}}"
    results = compare(config(data, more), tmp_path / "tuned", workers=2)
    for method in results["methods"].values():
        assert set(method["tuned"]) == {"training.learning_rate"}
    assert (tmp_path / "tuned" / "tuning" / "groups" / "tuning.db").exists()


def test_what_there_is_to_win_is_told_before_the_runs(compared):
    output, results, events = compared
    check = json.loads((output / "pre_check.json").read_text())
    assert results["pre_check"] == check
    assert set(check["importance"]) == {"user_embedding", "item"}
    assert len(check["importance"]["item"]["gauc_drops"]) == 2
    assert "user embedding" in check["users"]
    assert check["seeds"]["ensemble_log_loss"] < 0  # a convex loss
    assert events[0][1] == "checked"
    assert check["users"] in (output / "report.html").read_text()


def test_the_control_is_told_beside_the_method(compared):
    control = compared[1]["methods"]["groups"]["control"]
    assert control["name"] == "random_codes"
    assert len(control["by_seed"]) == 2


def test_slices_have_their_own_differences(compared):
    output, results, _ = compared
    assert list(results["slices"]) == ["device", "user_in_training"]
    for slices in results["slices"].values():
        assert sum(one["rows"] for one in slices) == 600
    (known,) = results["slices"]["user_in_training"]  # the whole split
    assert known["value"] == "yes"
    for name, method in known["methods"].items():
        whole = results["methods"][name]
        for metric in ("gauc", "log_loss"):
            assert method[metric] == whole["figures"][metric]["mean"]
        assert method["difference"] == whole.get("difference", {})
    assert "Differences by device" in (output / "report.html").read_text()


def test_a_slice_that_is_no_column_is_named_before_anything_runs(data, tmp_path):
    wrong = config(data).model_copy(update={"slices": ("nation",)})
    with pytest.raises(ValueError, match=r"`slices` must name .* got 'nation'"):
        compare(wrong, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("drops", "word"),
    [([0.0, 0.0004], "bias"), ([0.01, 0.02], "taste"), ([0.0, 0.01], "not clear")],
)
def test_users_are_a_bias_a_taste_or_not_clear(drops, word):
    told = what_users_give({"gauc_drops": drops, "log_loss_rise": 0.1}, 0.0005)
    assert word in told and "+0.1000" in told
