import math

import pytest
import yaml
from typer.testing import CliRunner

from hgr_tf.cli.main import app
from hgr_tf.comparing import tuning

CONFIG = """
base: {data: {path: mine}}
methods: {log_loss: none, groups: default}
baseline: log_loss
tuning: {trials: 6}
"""


@pytest.fixture()
def tune(tmp_path, monkeypatch):
    """Runs the command with trials whose LogLoss is least at a rate of 0.003."""
    runs = []

    def run_once(config, folder, split, head):
        folder.mkdir()
        runs.append((config, split))
        rate = config.training.learning_rate
        return {"figures": {"log_loss": math.log(rate / 0.003) ** 2}}

    monkeypatch.setattr(tuning, "run_once", run_once)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compare.yaml").write_text(CONFIG)

    def run(*options):
        return CliRunner().invoke(app, ["tune", "--config", "compare.yaml", *options])

    run.runs = runs
    return run


def test_the_best_trial_is_printed_as_a_runs_config(tune):
    result = tune("--method", "groups", "--data", "other")
    printed = yaml.safe_load(result.stdout)
    rates = [config.training.learning_rate for config, _ in tune.runs]
    best = min(rates, key=lambda rate: math.log(rate / 0.003) ** 2)
    assert len(set(rates)) == 6
    assert printed["training"]["learning_rate"] == best
    assert printed["data"]["path"] == "other"
    assert printed["method"]["ranking_loss"] == "list_ce"


def test_a_search_goes_on_where_it_ended(tune):
    tune()
    tune("--trials", "8")
    assert len(tune.runs) == 8
    assert {config.method.preset for config, _ in tune.runs} == {"none"}


def test_a_seed_replaces_the_first_of_the_config(tune):
    tune("--seed", "7", "--trials", "1")
    tune("--trials", "1", "--output", "other")
    assert [config.seed for config, _ in tune.runs] == [7, 1]


def test_another_method_is_named(tune):
    result = tune("--method", "x")
    assert "one of ['groups', 'log_loss'], got 'x'" in str(result.exception)
