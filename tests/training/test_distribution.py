"""A run on two devices is the run of one, and what cannot be is refused by name."""

import json

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.training import (
    INTERRUPTED,
    ConfigError,
    RunConfig,
    RunError,
    RunFolder,
    WorkerLostError,
    train,
    train_days,
)
from hgr_tf.training.distribution_config import DistributionConfig
from hgr_tf.training.strategies import make_strategy
from hgr_tf.training.workers import Workers, _split
from tests.prepared import rows, write_prepared
from tests.training.test_checkpoints import at_step, die, history
from tests.training.test_trainer import Killed, assert_equal_weights, config, weights

TWO_DEVICES = {"strategy": "mirrored", "devices": ["CPU:0", "CPU:1"]}
# Dropout is drawn anew on each replica.
METHOD = {"preset": "default", "quantization_dropout": 0.0, "global_batch": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows that leave a last batch of an odd number of them."""
    folder = tmp_path_factory.mktemp("prepared")
    train, val = rows(1501, 0, weighted=True), rows(301, 1, weighted=True)
    return write_prepared(folder, {"train": train, "val": val})


def settings(folder):
    stopping = {"metric": "gauc", "patience": 1}
    return config(
        folder,
        METHOD,
        epochs=4,
        early_stopping=stopping,
        checkpoints={"every_steps": 5},
    )


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "alone"
    return train(settings(folder), output, verbose=0)


@pytest.fixture(scope="module")
def mirrored(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "mirrored"
    two = settings(folder).override(distribution=TWO_DEVICES)
    return train(two, output, verbose=0)


def assert_ends_as(alone, run):
    """A run logged, stopped and ended as that of one process, but for rounding."""
    assert len(history(alone.path)) == len(history(run.path))
    for one, two in zip(history(alone.path), history(run.path), strict=True):
        assert two == pytest.approx(one, rel=5e-3)
    assert run.metrics == pytest.approx(alone.metrics, rel=2e-3)
    for one, two in zip(weights(alone), weights(run), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_two_devices_log_stop_and_end_as_one(alone, mirrored):
    assert_ends_as(alone, mirrored)


@pytest.mark.slow
def test_two_devices_resume_to_equal_weights(mirrored, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 17, die)
        with pytest.raises(Killed):
            train(mirrored.config, tmp_path, verbose=0)
    assert_equal_weights(mirrored, train(mirrored.config, tmp_path, verbose=0))
    # Sums that were saved as one are dealt to the replicas: they round otherwise.
    for one, two in zip(history(tmp_path), history(mirrored.path), strict=True):
        assert one == pytest.approx(two, rel=1e-5)


def test_replicas_of_a_worker_get_its_rows_in_order():
    batches = tf.data.Dataset.from_tensors(({"a": tf.range(7)}, tf.range(7)))
    parts = list(_split(batches, 3))
    assert [len(labels) for _, labels in parts] == [2, 2, 3]
    np.testing.assert_array_equal(tf.concat([p["a"] for p, _ in parts], 0), range(7))


def test_one_process_is_the_chief_and_waits_for_nobody():
    workers = Workers()
    assert workers.is_chief and not workers.are_several
    assert workers.mean(3) == 3 and workers.any(True) and not workers.any(False)
    with pytest.raises(tf.errors.UnavailableError), workers.errors():
        raise tf.errors.UnavailableError(None, None, "gone")


class OtherWorker(Workers):
    """A worker that is not the chief, and never alone with its numbers."""

    are_several = True
    is_chief = False

    def __init__(self):
        self.waits = 0

    def mean(self, number):
        self.waits += 1
        return number


def test_a_worker_that_is_not_the_chief_works_in_a_copy(alone):
    worker = OtherWorker()
    before = {path: path.stat().st_mtime_ns for path in alone.path.rglob("*")}
    with worker.folder(RunFolder(alone.path)) as own:
        assert own.path != alone.path and own.history() == history(alone.path)
        own.write_history([])
        assert worker.waits == 2
    assert worker.waits == 3 and not own.path.exists()
    assert before == {path: path.stat().st_mtime_ns for path in alone.path.rglob("*")}


def test_a_folder_that_a_worker_does_not_see_is_named(tmp_path):
    missing = RunFolder(tmp_path / "run")
    with (
        pytest.raises(RunError, match="run: not there on this worker: `--output`"),
        OtherWorker().folder(missing),
    ):
        pass


@pytest.mark.fault(
    "training",
    "an error of a lost worker",
    "one line says so, exit code 75",
)
def test_a_lost_worker_is_told_of():
    with (
        pytest.raises(WorkerLostError, match=r"training goes on .*gone") as error,
        OtherWorker().errors(),
    ):
        raise tf.errors.UnavailableError(None, None, "gone")
    assert error.value.exit_code == INTERRUPTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{strategy: tpu}", "distribution.strategy: .*got 'tpu'"),
        ("{devices: ['GPU:0']}", "`devices` must be left out unless"),
        ("{communication: ring}", "`communication` must be left out unless"),
    ],
)
def test_what_cannot_be_is_named(text, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_yaml(f"distribution: {text}")


@pytest.mark.skipif(KERAS_3, reason="Keras 3 refuses several workers")
@pytest.mark.parametrize(
    ("tf_config", "message"),
    [
        (None, "TF_CONFIG must tell the workers .*got None"),
        ("[", r"TF_CONFIG must tell the workers .*got '\['"),
        ({"cluster": {"worker": ["a:1"]}}, "TF_CONFIG must tell the workers"),
        (
            {
                "cluster": {"worker": ["a:1"], "ps": ["b:1"]},
                "task": {"type": "worker", "index": 0},
            },
            r"chief and worker tasks alone, .*got \['ps', 'worker'\]",
        ),
        (
            {
                "cluster": {"worker": ["a:1"]},
                "task": {"type": "worker", "index": 1},
            },
            r"and this process among them, got \['worker'\] and worker 1",
        ),
    ],
)
def test_wrong_tf_config_is_named(monkeypatch, tf_config, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if tf_config is not None:
        text = tf_config if isinstance(tf_config, str) else json.dumps(tf_config)
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        make_strategy(DistributionConfig(strategy="multi_worker"))


@pytest.mark.skipif(not KERAS_3, reason="Keras 2 trains under several workers")
def test_keras_3_refuses_several_workers_before_it_waits_for_them(folder, tmp_path):
    several = settings(folder).override(distribution={"strategy": "multi_worker"})
    with pytest.raises(ValueError, match="MultiWorkerMirroredStrategy on Keras 3"):
        train(several, tmp_path / "run", verbose=0)


@pytest.mark.parametrize("strategy", ["multi_worker", "parameter_server"])
def test_days_are_trained_in_one_process(folder, tmp_path, strategy):
    several = config(folder).override(distribution={"strategy": strategy})
    with pytest.raises(ValueError, match="must be 'none' or 'mirrored' for"):
        train_days(several, [folder], tmp_path / "days")
