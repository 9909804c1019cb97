"""Processes that train one run together, by the command of one process."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hgr_tf.compat import KERAS_3
from hgr_tf.training import INTERRUPTED, load_run, train
from tests.addresses import free_addresses
from tests.training.test_checkpoints import history
from tests.training.test_distribution import assert_ends_as, folder, settings  # noqa: F401
from tests.training.test_trainer import assert_equal_weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KERAS_3, reason="Keras 3 refuses several workers"),
]


class Worker:
    """A `hgr-tf train` of some workers, by their addresses and its index."""

    def __init__(self, config, output, addresses, index):
        task = {"type": "worker", "index": index}
        cluster = {"cluster": {"worker": addresses}, "task": task}
        self.scratch = output.parent / f"scratch-{output.name}-{index}"
        self.scratch.mkdir(exist_ok=True)
        self._errors = (self.scratch.parent / f"{self.scratch.name}.txt").open("w+")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "hgr_tf.cli.main", "train"),
                *("--config", str(config), "--output", str(output)),
            ],
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(cluster),
                "TMPDIR": str(self.scratch),
                "CUDA_VISIBLE_DEVICES": "",
            },
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )

    def end(self):
        """Exit code, and what it wrote to stderr."""
        code = self.process.wait(timeout=600)
        self._errors.seek(0)
        return code, self._errors.read()


def two_workers(config, output):
    addresses = free_addresses(2)
    return [Worker(config, output, addresses, index) for index in range(2)]


def of_two(folder, **training):  # noqa: F811
    several = settings(folder).override(distribution={"strategy": "multi_worker"})
    training = {f"training__{name}": value for name, value in training.items()}
    return several.override(**training)


LONG = {"epochs": 8, "early_stopping": {"metric": "gauc", "patience": 8}}


@pytest.fixture(scope="module")
def together(folder, tmp_path_factory):  # noqa: F811
    """A run of two workers, their exit codes and errors, and scratch folders."""
    place = tmp_path_factory.mktemp("together")
    (place / "two.yaml").write_text(of_two(folder).to_yaml())
    workers = two_workers(place / "two.yaml", place / "run")
    ends = [worker.end() for worker in workers]
    assert [code for code, _ in ends] == [0, 0], ends
    return load_run(place / "run"), [worker.scratch for worker in workers]


def test_two_workers_log_stop_and_end_as_one_process(folder, together, tmp_path):  # noqa: F811
    alone = train(settings(folder), tmp_path / "alone", verbose=0)
    run, _ = together
    assert_ends_as(alone, run)


def test_only_the_chief_leaves_files(together):
    run, (_, scratch) = together
    assert not list(scratch.iterdir())
    assert {path.name for path in (run.path / "tensorboard").iterdir()} == {
        "train",
        "validation",
    }


@pytest.mark.fault(
    "training",
    "a worker of two is killed",
    "both end with exit code 75; the same commands go on",
)
@pytest.mark.parametrize("lost", [0, 1])
def test_run_goes_on_after_a_lost_worker(folder, tmp_path, lost):  # noqa: F811
    config = tmp_path / "two.yaml"
    config.write_text(of_two(folder, **LONG).to_yaml())
    for name in ("whole", "lost"):
        workers = two_workers(config, tmp_path / name)
        if name == "lost":
            wait_for(tmp_path / name / "checkpoint" / "ckpt-20.index")
            workers[lost].process.send_signal(signal.SIGKILL)
            code, errors = workers[1 - lost].end()
            assert code == INTERRUPTED
            assert "another worker of the run ended or cannot be reached" in errors
            assert not (tmp_path / name / "FINISHED").exists()
            workers = two_workers(config, tmp_path / name)
        assert [worker.end()[0] for worker in workers] == [0, 0]
    whole, resumed = load_run(tmp_path / "whole"), load_run(tmp_path / "lost")
    assert_equal_weights(whole, resumed)
    for one, two in zip(history(whole.path), history(resumed.path), strict=True):
        assert one == pytest.approx(two, rel=1e-5)


@pytest.mark.fault(
    "training",
    "SIGTERM to a worker of two",
    "both save and stop; the same commands go on",
)
def test_sigterm_to_one_worker_saves_and_stops_all(folder, tmp_path):  # noqa: F811
    config = tmp_path / "two.yaml"
    config.write_text(of_two(folder, **LONG).to_yaml())
    workers = two_workers(config, tmp_path / "run")
    wait_for(tmp_path / "run" / "checkpoint" / "ckpt-10.index")
    workers[1].process.send_signal(signal.SIGTERM)
    for worker in workers:
        code, errors = worker.end()
        assert code == INTERRUPTED and "stopped by SIGTERM after step" in errors


def wait_for(path):
    deadline = time.monotonic() + 200
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)
