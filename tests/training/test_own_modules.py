"""Rankers, losses and metrics of a user's own module, named in a run's config."""

import sys

import numpy as np
import pytest
import tensorflow as tf
import yaml
from typer.testing import CliRunner

from hgr_tf.cli.main import app
from hgr_tf.training import ConfigError, RunConfig, load_run, train
from hgr_tf.training.imported import import_object
from hgr_tf.training.run_metrics import run_metrics
from tests.prepared import rows, write_prepared

MODULE = '''
import tensorflow as tf

from hgr_tf.losses.listwise.list_ce import list_ce
from hgr_tf.rankers import mlp_ranker


def wide(encoding, width=4):
    return mlp_ranker(encoding, embedding_dim=width, hidden_units=(width,))


def no_model(encoding):
    return 3


def doubled(lists, labels, logits, shares_of):
    return [2.0 * level for level in list_ce(lists, labels, logits, shares_of)]


class Share(tf.keras.metrics.Mean):
    """Share of rows with a probability above one half."""

    def __init__(self, name="share"):
        super().__init__(name=name)

    def update_state(self, labels, probabilities, sample_weight=None):
        above = tf.cast(probabilities > 0.5, tf.float32)
        return super().update_state(above, sample_weight)


class NeedsArguments:
    def __init__(self, argument):
        pass
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The folder of the module, on the path while these tests run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_parts.py").write_text(MODULE)
    (folder / "own_broken.py").write_text("raise RuntimeError('no\\nGPU')")
    (folder / "own_needs.py").write_text("import not_installed_at_all")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    splits = {"train": rows(600, seed=0), "val": rows(300, seed=1)}
    return write_prepared(tmp_path_factory.mktemp("prepared"), splits)


def config(data, **others):
    fields = {
        "data": {"path": str(data)},
        "ranker": {"type": "own_parts:wide", "width": 3},
        "training": {"batch_size": 100, "epochs": 2},
        **others,
    }
    return RunConfig.model_validate(fields)


def test_a_ranker_and_a_metric_of_ones_own_train_stop_early_and_load(
    own, data, tmp_path
):
    stopping = {"metric": "share", "mode": "max", "patience": 1}
    settings = config(
        data,
        metrics=["own_parts:Share"],
        training={"batch_size": 100, "epochs": 2, "early_stopping": stopping},
    )
    run = train(settings, tmp_path / "run", verbose=0)
    again = load_run(tmp_path / "run")
    assert 0 <= run.metrics["share"] <= 1
    assert again.model.ranker.get_layer("logits").kernel.shape[0] == 3
    for one, two in zip(run.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


@pytest.mark.slow
def test_a_loss_of_ones_own_changes_what_is_trained(own, data, tmp_path):
    def weights(name, **method):
        run = train(
            config(
                data,
                method={"lists": "batch", **method},
                training={"batch_size": 100, "epochs": 1},
            ),
            tmp_path / name,
            verbose=0,
        )
        return np.concatenate([np.ravel(w) for w in run.model.ranker.get_weights()])

    plain = weights("plain")
    own_loss = weights("own", ranking_loss="own_parts:doubled", level_weights=0.2)
    shipped = weights("shipped", ranking_loss="list_ce", level_weights=0.4)
    assert not np.allclose(plain, shipped)
    np.testing.assert_allclose(own_loss, shipped, rtol=1e-4, atol=1e-6)


def test_from_the_command_line_out_of_the_current_folder(
    own, data, tmp_path, monkeypatch
):
    monkeypatch.chdir(own)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in (str(own), "")])
    for name in [name for name in sys.modules if name.startswith("own_")]:
        monkeypatch.delitem(sys.modules, name)
    file = tmp_path / "run.yaml"
    file.write_text(config(data).to_yaml())
    run = str(tmp_path / "run")
    result = CliRunner().invoke(app, ["train", "--config", str(file), "--output", run])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["evaluate", "--run", run])
    assert result.exit_code == 0, result.output
    assert "GAUC" in result.output


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ranker": {"type": "own_parts:wid"}}, "no 'wid'.*did you mean 'wide'"),
        ({"ranker": {"type": "own_part:wide"}}, "no module 'own_part'.*'own_parts'"),
        ({"ranker": {"type": "own_broken:x"}}, "'own_broken' fails.*RuntimeError: no"),
        ({"ranker": {"type": "own_needs:x"}}, "'own_needs' fails.*not_installed_at"),
        ({"ranker": {"type": "a b:c"}}, "of the form 'package.module:name'"),
        ({"metrics": ["gauc"]}, "of the form 'package.module:name'.*'gauc'"),
        ({"method": {"ranking_loss": "own_parts:x"}}, "'own_parts' has no 'x'"),
        (
            {"training": {"early_stopping": {"metric": "share"}}},
            "needs a `mode`.*'share'",
        ),
    ],
)
def test_names_that_fail_end_in_one_line(own, fields, message):
    with pytest.raises(ConfigError, match=message) as error:
        RunConfig.from_yaml(yaml.safe_dump(fields))
    assert "\n" not in str(error.value)


def test_what_is_no_model_or_no_metric_is_refused(own, data, tmp_path):
    with pytest.raises(ValueError, match="no_model' must return a Keras model, got 3"):
        train(
            config(data, ranker={"type": "own_parts:no_model"}),
            tmp_path / "no_model",
            verbose=0,
        )
    with pytest.raises(ValueError, match=r"'own_parts:wide' cannot be made.*colour"):
        train(
            config(data, ranker={"type": "own_parts:wide", "colour": 1}),
            tmp_path / "colour",
            verbose=0,
        )
    with pytest.raises(ValueError, match="`metrics` must need no arguments"):
        run_metrics(["own_parts:NeedsArguments"])
    with pytest.raises(ValueError, match="names of their own, got 'share'"):
        run_metrics(["own_parts:Share", "own_parts:Share"])


def test_a_metric_to_stop_by_that_no_config_adds_is_refused(own, data, tmp_path):
    stopping = {"metric": "shares", "mode": "max"}
    settings = config(data, training={"early_stopping": stopping})
    with pytest.raises(ValueError, match=r"early_stopping.metric.*got 'shares'"):
        train(settings, tmp_path / "run", verbose=0)


def test_names_reach_into_classes():
    assert import_object("tensorflow:keras.layers.Dense") is tf.keras.layers.Dense
