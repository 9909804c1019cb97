import itertools
import json
import os
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.training import TrainingInterruptedError, resumable_fit, train
from tests.training.test_trainer import (
    Killed,
    assert_equal_weights,
    config,
    folder,  # noqa: F401
)

STEPS_PER_EPOCH = -(-3000 // 128)


def saving(folder, every=5, **training):  # noqa: F811
    checkpoints = {"every_steps": every}
    return config(folder, checkpoints=checkpoints, **training)


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):  # noqa: F811
    output = tmp_path_factory.mktemp("runs") / "whole"
    return train(saving(folder), output, verbose=0)


class AtStep(tf.keras.callbacks.Callback):
    """Does something after the given step of the run."""

    def __init__(self, step, act):
        super().__init__()
        self.step, self.act, self.seen = step, act, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.step:
            self.act(self.model)


def at_step(patch, step, act):
    """Makes the next training do something after a step, before `StepEnd`."""
    patch.setattr(resumable_fit, "EvaluateAverages", lambda: AtStep(step, act))


def die(model):
    raise Killed


def history(run_folder):
    return json.loads((run_folder / "history.json").read_text())


def numbers(run_folder):
    found = (run_folder / "checkpoint").glob("ckpt-*.index")
    return sorted(int(path.stem.split("-")[1]) for path in found)


@pytest.mark.fault(
    "training",
    "killed in the middle of an epoch",
    "the same command goes on to the same bits",
)
@pytest.mark.parametrize(
    "step", [7, pytest.param(STEPS_PER_EPOCH + 12, marks=pytest.mark.slow)]
)
def test_run_killed_in_an_epoch_goes_on_to_equal_weights_and_history(
    whole, tmp_path, monkeypatch, step
):
    with monkeypatch.context() as patch:
        at_step(patch, step, die)
        with pytest.raises(Killed):
            train(whole.config, tmp_path, verbose=0)
    last = (step - 1) // 5 * 5 if step < STEPS_PER_EPOCH else 35
    assert numbers(tmp_path)[-1] == last
    assert len(numbers(tmp_path)) <= 3
    resumed = train(whole.config, tmp_path, verbose=0)
    assert_equal_weights(whole, resumed)
    assert history(tmp_path) == history(whole.path)
    assert resumed.metrics == whole.metrics


@pytest.mark.fault(
    "training",
    "SIGTERM (preemption)",
    "the step is saved, exit code 75; the same command goes on to the same bits",
)
def test_sigterm_saves_the_step_and_the_same_call_goes_on(whole, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        at_step(patch, 8, lambda model: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(TrainingInterruptedError, match="step 8, which is saved"):
            train(whole.config, tmp_path, verbose=0)
    assert signal.getsignal(signal.SIGTERM) == before
    assert numbers(tmp_path)[-1] == 8
    assert_equal_weights(whole, train(whole.config, tmp_path, verbose=0))


@pytest.mark.fault(
    "training",
    "SIGTERM in the last step of an epoch",
    "the epoch is saved with its metrics; the same command goes on to the same bits",
)
@pytest.mark.slow
def test_sigterm_in_the_last_step_of_an_epoch_saves_the_epoch(
    whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        kill = lambda model: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        at_step(patch, STEPS_PER_EPOCH, kill)
        with pytest.raises(TrainingInterruptedError, match=f"step {STEPS_PER_EPOCH},"):
            train(whole.config, tmp_path, verbose=0)
    assert len(history(tmp_path)) == 1
    resumed = train(whole.config, tmp_path, verbose=0)
    assert_equal_weights(whole, resumed)
    assert history(tmp_path) == history(whole.path)


@pytest.mark.fault(
    "training",
    "the newest checkpoint is damaged, cut or gone",
    "a warning; the run goes on from the one before to the same bits",
)
@pytest.mark.parametrize(
    "damage",
    ["flip", *(pytest.param(d, marks=pytest.mark.slow) for d in ("cut", "remove"))],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    whole, tmp_path, monkeypatch, damage
):
    with monkeypatch.context() as patch:
        at_step(patch, 12, die)
        with pytest.raises(Killed):
            train(whole.config, tmp_path, verbose=0)
    assert numbers(tmp_path) == [5, 10]
    (data,) = (tmp_path / "checkpoint").glob("ckpt-10.data-*")
    content = bytearray(data.read_bytes())
    if damage == "cut":
        data.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 0xFF
        data.write_bytes(content)
    else:
        data.unlink()
    with pytest.warns(UserWarning, match=r"ckpt-10: this checkpoint is damaged"):
        resumed = train(whole.config, tmp_path, verbose=0)
    assert_equal_weights(whole, resumed)


@pytest.mark.fault(
    "training",
    "weights become NaN",
    "the run ends at that step; checkpoints before it stay; the batch is kept",
)
def test_weights_that_are_not_finite_are_never_saved(folder, tmp_path, monkeypatch):  # noqa: F811
    def poison(model):
        weight = model.trainable_weights[0]
        weight.assign(weight * np.nan)

    at_step(monkeypatch, 3, poison)
    with pytest.raises(ValueError, match=r"is not finite in step 3 of the run"):
        train(saving(folder, every=1), tmp_path / "run", verbose=0)
    assert numbers(tmp_path / "run") == [1, 2]
    with np.load(tmp_path / "run" / "faulty_batch.npz") as batch:
        assert {"step_2/user", "step_3/user", "step_3/labels"} <= {*batch}
        assert batch["step_3/labels"].shape == (128,)


@pytest.mark.fault(
    "training",
    "the loss becomes NaN or infinite",
    "the run ends at that step; the batch is kept",
)
def test_a_faulty_loss_writes_its_batch_and_the_one_before(folder, tmp_path):  # noqa: F811
    diverging = saving(folder, every=None, optimizer="sgd", learning_rate=1e38)
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) in step 2 of the run"):
        train(diverging, tmp_path / "run", verbose=0)
    with np.load(tmp_path / "run" / "faulty_batch.npz") as batch:
        assert {name.split("/")[0] for name in batch} == {"step_1", "step_2"}
        assert (batch["step_1/user"] != batch["step_2/user"]).any()


@pytest.mark.slow
@pytest.mark.fault(
    "training", "the clock jumps back and forth", "the same bits and metrics"
)
def test_a_clock_that_jumps_changes_nothing(whole, tmp_path, monkeypatch):
    real, jumps = time.time, itertools.cycle([0.0, 86_400.0, -86_400.0])
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    again = train(whole.config, tmp_path, verbose=0)
    assert_equal_weights(whole, again)
    assert history(tmp_path) == history(whole.path)
    assert again.metrics == whole.metrics
