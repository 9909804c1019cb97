import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from hgr_tf.data import ManifestError, PreparedData
from hgr_tf.features import LABEL, USER
from hgr_tf.metrics import group_auc
from hgr_tf.training import RunConfig, RunError, RunFolder, evaluate, load_run, train
from tests.prepared import rows, write_prepared

VAL = rows(600, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    return write_prepared(folder, {"train": rows(3000, seed=0), "val": VAL})


def config(folder, method="none", **training):
    training = {"batch_size": 128, "epochs": 2, "learning_rate": 0.03, **training}
    return RunConfig.model_validate(
        {
            "data": {"path": str(folder)},
            "ranker": {"type": "mlp", "embedding_dim": 4, "hidden_units": [8]},
            "method": method,
            "training": training,
            "seed": 5,
        }
    )


def weights(run):
    return [np.asarray(weight) for weight in run.model.ranker.weights]


def assert_equal_weights(one, two):
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory):
    return train(config(folder), tmp_path_factory.mktemp("runs") / "plain", verbose=0)


class Killed(BaseException):
    """Stands for the process's end: no handler of exceptions sees it."""


class KillAfter(tf.keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Killed


def kill_at(monkeypatch, epoch):
    """Makes training end abruptly as the epoch begins."""
    import hgr_tf.training.resumable_fit as resumable_fit

    original = resumable_fit.EvaluateAverages
    monkeypatch.setattr(resumable_fit, "EvaluateAverages", lambda: KillAfter(epoch))
    return lambda: monkeypatch.setattr(resumable_fit, "EvaluateAverages", original)


def test_run_folder_is_complete(plain):
    names = {path.name for path in plain.path.iterdir()}
    assert names == {
        "FINISHED",
        "config.yaml",
        "data.json",
        "encoding",
        "environment.json",
        "history.json",
        "metrics.json",
        "model.weights.h5",
        "tensorboard",
    }
    history = json.loads((plain.path / "history.json").read_text())
    assert len(history) == 2
    assert {"loss", "val_gauc", "val_log_loss"} <= set(history[0])
    assert history[1]["loss"] < history[0]["loss"]
    assert list(plain.path.glob("tensorboard/*/events*"))


def test_metrics_equal_their_definitions(plain, folder):
    """Reference values by numpy and scikit-learn from the raw predictions."""
    data = PreparedData.load(folder)
    (batch,) = data.dataset("val", 600)
    features, label = (batch[0], batch[1].numpy())
    users = features[USER].numpy()
    p = tf.sigmoid(plain.model.ranker({k: v for k, v in features.items() if k != USER}))
    p = p.numpy()[:, 0].astype(np.float64)
    metrics = evaluate(plain.model, data, "val", batch_size=64)
    assert metrics["log_loss"] == pytest.approx(log_loss(label, p), abs=1e-5)
    assert metrics["gauc"] == pytest.approx(group_auc(label, p, users), abs=1e-5)
    assert metrics["pcoc"] == pytest.approx(p.sum() / label.sum(), abs=1e-5)
    assert metrics["auc"] == pytest.approx(roc_auc_score(label, p), abs=2e-3)
    assert plain.metrics == pytest.approx(metrics, abs=1e-5)


def test_loaded_run_predicts_as_before(plain):
    again = load_run(plain.path)
    assert_equal_weights(plain, again)
    assert again.config == plain.config
    assert again.encoding == plain.encoding


def test_learns(plain):
    assert plain.metrics["gauc"] > 0.6
    clicks = np.mean([row[LABEL][0] for row in VAL])
    entropy = -clicks * np.log(clicks) - (1 - clicks) * np.log(1 - clicks)
    assert plain.metrics["log_loss"] < entropy


@pytest.mark.slow
def test_equal_seeds_give_equal_runs(plain, folder, tmp_path):
    assert_equal_weights(plain, train(config(folder), tmp_path, verbose=0))
    other = config(folder).override(seed=6)
    third = train(other, tmp_path / "third", verbose=0)
    assert (weights(plain)[0] != weights(third)[0]).any()


@pytest.mark.fault(
    "training",
    "killed between epochs",
    "the same command goes on to the same bits",
)
@pytest.mark.slow
def test_interrupted_run_resumes_to_the_same_weights(
    plain, folder, tmp_path, monkeypatch
):
    revive = kill_at(monkeypatch, epoch=1)
    with pytest.raises(Killed):
        train(config(folder), tmp_path, verbose=0)
    with pytest.raises(RunError, match="not finished"):
        load_run(tmp_path)
    revive()
    resumed = train(config(folder), tmp_path, verbose=0)
    assert_equal_weights(plain, resumed)
    history = json.loads((tmp_path / "history.json").read_text())
    assert history == json.loads((plain.path / "history.json").read_text())


@pytest.mark.fault(
    "training",
    "the data changes under an unfinished run",
    "the run is not resumed; the error says why",
)
@pytest.mark.slow
def test_run_is_not_resumed_on_data_prepared_anew(tmp_path, monkeypatch):
    data = tmp_path / "data"
    write_prepared(data, {"train": rows(300, seed=0), "val": VAL})
    revive = kill_at(monkeypatch, epoch=1)
    with pytest.raises(Killed):
        train(config(data), tmp_path / "run", verbose=0)
    revive()
    with (data / "vocabularies" / "item.txt").open("a") as vocabulary:
        vocabulary.write("another\n")
    with pytest.raises(ManifestError, match="encoded with other vocabularies"):
        train(config(data), tmp_path / "run", verbose=0)


def test_loss_that_is_not_finite_ends_training(folder, tmp_path):
    diverging = config(folder, optimizer="sgd", learning_rate=1e38)
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) in step \d+ of the"):
        train(diverging, tmp_path / "run", verbose=0)


def test_finished_run_is_not_trained_again(plain, folder):
    before = (plain.path / "model.weights.h5").stat().st_mtime_ns
    train(config(folder), plain.path, verbose=0)
    assert (plain.path / "model.weights.h5").stat().st_mtime_ns == before


@pytest.mark.slow
def test_folder_of_another_config_is_refused_unless_overwritten(
    plain, folder, tmp_path
):
    copied = shutil.copytree(plain.path, tmp_path / "run")
    with pytest.raises(RunError, match="another config"):
        train(config(folder, epochs=1), copied, verbose=0)
    run = train(config(folder, epochs=1), copied, overwrite=True, verbose=0)
    assert run.config.training.epochs == 1
    assert len(json.loads((copied / "history.json").read_text())) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_that_is_no_run_is_never_touched(folder, tmp_path, overwrite):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="not empty, and not a training run"):
        train(config(folder), tmp_path, overwrite=overwrite, verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "method",
    [
        "default",
        pytest.param("softmax_ce_batch", marks=pytest.mark.slow),
        pytest.param({"ranking_loss": "jrc"}, marks=pytest.mark.slow),
        pytest.param("paper", marks=pytest.mark.slow),
        pytest.param("list_ce_user", marks=pytest.mark.slow),
    ],
)
def test_methods_train_and_reload(folder, tmp_path, method):
    run = train(config(folder, method, epochs=1), tmp_path / "run", verbose=0)
    assert np.isfinite(list(run.metrics.values())).all()
    assert (run.model.quantizer is not None) == run.config.method.has_codes
    data = PreparedData.load(folder)
    again = evaluate(run.model, data, "val")
    assert again["log_loss"] == pytest.approx(run.metrics["log_loss"], abs=1e-6)


@pytest.mark.slow
def test_codebooks_start_within_the_first_epoch(folder, tmp_path):
    run = train(config(folder, "default", epochs=1), tmp_path / "run", verbose=0)
    assert bool(run.model.quantizer.started)
    (epoch,) = json.loads((run.path / "history.json").read_text())
    assert 0 < epoch["codebook_usage_1"] <= 1
    assert 0 < epoch["group_occupancy_3"] <= epoch["group_occupancy_1"]


def test_early_stopping_keeps_the_best_epoch(folder, tmp_path):
    stopping = {"metric": "log_loss", "patience": 2}
    settings = config(
        folder,
        epochs=40,
        learning_rate=0.05,
        schedule="constant",
        early_stopping=stopping,
    )
    run = train(settings, tmp_path / "run", verbose=0)
    history = json.loads((run.path / "history.json").read_text())
    losses = [epoch["val_log_loss"] for epoch in history]
    assert len(losses) < 40
    assert len(losses) - 1 - int(np.argmin(losses)) == 2
    assert run.metrics["log_loss"] == pytest.approx(min(losses), abs=1e-6)


@pytest.fixture(scope="module")
def averaged(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "averaged"
    return train(config(folder, weight_ema=0.9), output, verbose=0)


def test_weight_average_is_what_is_validated_and_kept(averaged, plain):
    assert (weights(averaged)[0] != weights(plain)[0]).any()
    history = json.loads((averaged.path / "history.json").read_text())
    last = history[-1]["val_log_loss"]
    assert averaged.metrics["log_loss"] == pytest.approx(last, abs=1e-6)


@pytest.mark.slow
def test_interrupted_average_resumes_to_the_same_weights(
    averaged, folder, tmp_path, monkeypatch
):
    revive = kill_at(monkeypatch, epoch=1)
    with pytest.raises(Killed):
        train(averaged.config, tmp_path, verbose=0)
    revive()
    assert_equal_weights(averaged, train(averaged.config, tmp_path, verbose=0))


@pytest.mark.fault(
    "training",
    "killed after the last epoch",
    "the same command finishes it with the same metrics",
)
@pytest.mark.slow
def test_run_killed_after_its_last_epoch_is_finished_alike(
    averaged, folder, tmp_path, monkeypatch
):
    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", die)
        with pytest.raises(Killed):
            train(averaged.config, tmp_path, verbose=0)
    assert_equal_weights(averaged, train(averaged.config, tmp_path, verbose=0))


def test_data_path_must_be_given(tmp_path):
    with pytest.raises(ValueError, match=r"`data.path` must be a folder"):
        train(RunConfig(), tmp_path)


def test_unknown_split_leaves_no_folder_behind(folder, tmp_path):
    wrong = config(folder).override(data__validation="test")
    with pytest.raises(ValueError, match="no split 'test'"):
        train(wrong, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_path_without_a_run_is_named(tmp_path):
    with pytest.raises(RunError, match=r"nowhere: no config\.yaml"):
        load_run(tmp_path / "nowhere")


def test_a_run_of_the_other_keras_is_named(plain, folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(plain.path, run)
    file = run / "environment.json"
    here = json.loads(file.read_text())
    assert here["tensorflow"] == tf.__version__
    other = {"Keras 2": "Keras 3", "Keras 3": "Keras 2"}[here["keras"]]
    file.write_text(json.dumps({**here, "keras": other, "tensorflow": "2.x"}))
    message = rf"run: trained with {other} \(TensorFlow 2.x\).*has {here['keras']}"
    with pytest.raises(RunError, match=message):
        load_run(run)
    with pytest.raises(RunError, match=message):
        train(config(folder), run, verbose=0)
    file.unlink()  # as of earlier versions
    assert load_run(run).metrics == plain.metrics
