"""The average of the last checkpoints: which steps, which weights, also resumed."""

import os
import signal

import numpy as np
import pytest
from pydantic import ValidationError

from hgr_tf.training import RunError, TrainingInterruptedError, train
from hgr_tf.training.config import TrainingConfig
from hgr_tf.training.last_weights import LastWeights, averaged_steps
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.warm_start import load_slots
from tests.prepared import rows, write_prepared
from tests.training.test_checkpoints import at_step, die, saving
from tests.training.test_trainer import (
    Killed,
    assert_equal_weights,
    weights,
)


def settings(**given):
    every = given.pop("every_steps", None)
    return TrainingConfig(checkpoints={"every_steps": every}, **given)


def test_the_last_checkpoints_of_the_config_are_averaged():
    assert averaged_steps(settings(epochs=3), 10) == []
    assert averaged_steps(settings(epochs=3, average_checkpoints=2), 10) == [20, 30]
    some = settings(epochs=2, average_checkpoints=4, every_steps=4)
    assert averaged_steps(some, 10) == [10, 12, 16, 20]
    with pytest.raises(ValueError, match=r"must be at most 2, .* got 3"):
        averaged_steps(settings(epochs=2, average_checkpoints=3), 10)


@pytest.mark.parametrize(
    "other", [{"weight_ema": 0.9}, {"early_stopping": {"metric": "auc"}}]
)
def test_it_does_not_go_with_what_keeps_other_weights(other):
    with pytest.raises(ValidationError, match="keeps other weights"):
        settings(average_checkpoints=2, **other)


METHOD = {
    "preset": "default",
    "num_levels": 2,
    "codebook_size": 3,
    "start_epochs": 0.1,
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A config of two epochs of 6 steps, with checkpoints after 4, 6, 8 and 12."""
    data = tmp_path_factory.mktemp("data")
    write_prepared(data, {"train": rows(600, 0), "val": rows(100, 1)})
    options = {"batch_size": 100, "keep_optimizer": True}
    return saving(data, every=4, **options)


@pytest.fixture(scope="module")
def averaged(small, tmp_path_factory):
    """A run of it whose last three checkpoints are averaged, and their weights."""
    output = tmp_path_factory.mktemp("runs") / "averaged"
    given = small.override(training__average_checkpoints=3)
    finish, kept = RunFolder.finish, {}

    def remember(self, metrics):
        for path in self.checkpoints.joinpath("weights").iterdir():
            with np.load(path) as arrays:
                kept[path.name] = [arrays[str(i)] for i in range(len(arrays.files))]
        finish(self, metrics)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "finish", remember)
        return train(given, output, verbose=0), kept


@pytest.fixture(scope="module")
def plain(small, tmp_path_factory):
    return train(small, tmp_path_factory.mktemp("runs") / "plain", verbose=0)


def test_the_ranker_has_the_mean_and_nothing_else_is_touched(averaged, plain):
    run, kept = averaged
    assert sorted(kept) == ["weights-12.npz", "weights-6.npz", "weights-8.npz"]
    for found, *values in zip(weights(run), *kept.values(), strict=True):
        expected = np.mean(values, axis=0, dtype=np.float64)
        np.testing.assert_array_equal(found, expected.astype(np.float32))
    for found, last in zip(kept["weights-12.npz"], weights(plain), strict=True):
        np.testing.assert_array_equal(found, last)
    for one, other in zip(load_slots(run.path), load_slots(plain.path), strict=True):
        np.testing.assert_array_equal(one, other)
    assert run.metrics != plain.metrics


@pytest.mark.slow
def test_the_quantizer_is_not_averaged(small, tmp_path):
    quantized = small.override(method=METHOD)
    plain = train(quantized, tmp_path / "plain", verbose=0)
    given = quantized.override(training__average_checkpoints=3)
    run = train(given, tmp_path / "run", verbose=0)
    assert (weights(run)[0] != weights(plain)[0]).any()
    assert bool(run.model.quantizer.started)
    for one, other in zip(
        run.model.quantizer.weights, plain.model.quantizer.weights, strict=True
    ):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("step", [7, pytest.param(12, marks=pytest.mark.slow)])
def test_an_interrupted_run_averages_the_same(averaged, tmp_path, monkeypatch, step):
    run, _ = averaged
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda model: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(TrainingInterruptedError):
            train(run.config, tmp_path, verbose=0)
    assert_equal_weights(run, train(run.config, tmp_path, verbose=0))


@pytest.mark.slow
def test_a_killed_run_averages_the_same(averaged, tmp_path, monkeypatch):
    run, _ = averaged
    with monkeypatch.context() as patch:
        at_step(patch, 11, die)
        with pytest.raises(Killed):
            train(run.config, tmp_path, verbose=0)
    assert_equal_weights(run, train(run.config, tmp_path, verbose=0))


def test_a_lost_file_is_named(tmp_path):
    last = LastWeights(tmp_path, [1, 2], [])
    last.save(1)
    found = LastWeights(tmp_path, [1, 2], [np.zeros(2)])
    with pytest.raises(RunError, match=r"weights-1\.npz: missing or damaged"):
        found.assign_average()


def test_too_many_leave_no_folder_behind(small, tmp_path):
    given = small.override(training__average_checkpoints=9)
    with pytest.raises(ValueError, match="average_checkpoints` must be at most 4"):
        train(given, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
