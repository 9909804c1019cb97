"""Parameter servers: the processes of a run, and what they cannot do."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.data import ManifestError, PreparedData
from hgr_tf.features import USER
from hgr_tf.metrics import group_auc
from hgr_tf.training import RunConfig, RunFolder, WorkerLostError, load_run, train
from hgr_tf.training import parameter_servers as servers
from hgr_tf.training.build_and_evaluate import evaluate
from hgr_tf.training.chief_copy import ChiefCopy
from hgr_tf.training.distribution_config import DistributionConfig
from hgr_tf.training.strategies import make_strategy
from tests.addresses import free_addresses
from tests.prepared import ENCODING, SPEC, rows, write_prepared
from tests.training.test_trainer import config

SERVERS = {"strategy": "parameter_server"}
on_keras_2 = pytest.mark.skipif(KERAS_3, reason="Keras 3 has no parameter servers")

# A table that is large enough to lie in two shards.
_LARGE = {"device": {"type": "hashed", "num_buckets": 100_000}}
LARGE = dataclasses.replace(
    ENCODING,
    spec=SPEC.model_validate({**SPEC.model_dump(mode="json"), "context": _LARGE}),
)


def cluster(**counts):
    """Addresses of localhost for some processes of each role."""
    free = iter(free_addresses(sum(counts.values())))
    return {role: list(islice(free, count)) for role, count in counts.items()}


def start(config, output, addresses, role, index):
    """A `hgr-tf train` of one process, whose output goes to a file."""
    task = {"type": role, "index": index}
    told = output.parent / f"{role}-{index}.txt"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "hgr_tf.cli.main", "train"),
            *("--config", str(config), "--output", str(output)),
        ],
        env={
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": addresses, "task": task}),
            "CUDA_VISIBLE_DEVICES": "",
        },
        stdout=subprocess.DEVNULL,
        stderr=told.open("w"),
    )
    return process, told


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A run of a chief, a worker and two parameter servers, and what they told."""
    place = tmp_path_factory.mktemp("together")
    splits = {"train": rows(3000, 0), "val": rows(600, 1)}
    data = write_prepared(place, splits, output_format="tfrecord", encoding=LARGE)
    settings = config(
        data,
        "list_ce_batch",
        optimizer="lazy_adam",
        epochs=3,
        early_stopping={"metric": "gauc", "patience": 3},
        checkpoints={"every_steps": 10},
    ).override(distribution=SERVERS)
    (place / "servers.yaml").write_text(settings.to_yaml())
    addresses = cluster(chief=1, worker=1, ps=2)
    started = [
        start(place / "servers.yaml", place / "run", addresses, role, index)
        for role, own in addresses.items()
        for index in range(len(own))
    ]
    try:
        codes = [process.wait(timeout=300) for process, _ in started]
    finally:
        for process, _ in started:
            process.kill()
    told = [text.read_text() for _, text in started]
    assert codes == [0, 0, 0, 0], told
    return load_run(place / "run"), told


@on_keras_2
@pytest.mark.slow
def test_a_run_on_parameter_servers_learns_in_shards_and_is_evaluated(together):
    run, (chief, *_) = together
    assert "'embedding_device/embeddings': 2" in chief
    data = PreparedData.load(run.config.data.path)
    parts = list(data.dataset("val", 100))
    labels, users = (
        np.concatenate([of(features, label) for features, label in parts])
        for of in (lambda _, label: label, lambda features, _: features[USER])
    )
    scores = tf.concat([run.model.logits(run.model(part)) for part, _ in parts], 0)
    gauc = group_auc(labels, tf.sigmoid(scores).numpy(), users)
    assert run.metrics["gauc"] == pytest.approx(gauc, abs=1e-6)
    rate = labels.mean()
    of_rate = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    assert run.metrics["log_loss"] < of_rate - 0.02
    assert evaluate(run.model, data, "val") == pytest.approx(run.metrics)


@on_keras_2
@pytest.mark.slow
def test_a_run_on_parameter_servers_keeps_the_figures_of_each_epoch(together):
    run, _ = together
    history = RunFolder(run.path).history()
    assert len(history) == 3 and {"loss", "auc", "val_gauc"} <= set(history[0])
    best = max(epoch["val_gauc"] for epoch in history)
    assert run.metrics["gauc"] == pytest.approx(best)
    # A finished run is shown without the other processes.
    assert train(run.config, run.path).metrics == run.metrics


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: default", "`method` must have no codes .* got 'default'.*multi_wor"),
        ("method: paper", "`method` must have no codes"),
        (
            "method: {preset: list_ce_batch, level_weights: uncertainty}",
            "`method.level_weights: uncertainty` must be left out",
        ),
        ("method: {head_weights: uncertainty}", "`method.head_weights: uncertainty`"),
        ("compute: {precision: mixed_float16}", "`compute.precision` must be left out"),
        ("compute: {jit_compile: true}", "`compute.jit_compile`"),
        ("compute: {deterministic: true}", "`compute.deterministic`"),
        ("training: {weight_ema: 0.9}", "`training.weight_ema`"),
        ("training: {keep_optimizer: true}", "`training.keep_optimizer`"),
        ("init_from: {run: a, optimizer: true}", "`init_from.optimizer`"),
        ("data: {reader: columns}", "`data.reader: columns`.*prepare TFRecords"),
        ("distribution: {strategy: parameter_server, devices: [a]}", "`devices` must"),
    ],
)
def test_what_does_not_work_with_parameter_servers_is_named(text, message):
    lines = [text] if "distribution" in text else [text, f"distribution: {SERVERS}"]
    with pytest.raises(ValueError, match=message):
        RunConfig.from_yaml("\n".join(lines))


@pytest.mark.parametrize("method", ["none", "list_ce_batch", "softmax_ce_user"])
def test_losses_without_codes_work_with_parameter_servers(method):
    RunConfig.model_validate({"method": method, "distribution": SERVERS})


@pytest.mark.skipif(not KERAS_3, reason="Keras 2 trains so")
def test_keras_3_refuses_parameter_servers(tmp_path):
    wanted = config(tmp_path).override(distribution=SERVERS)
    with pytest.raises(ValueError, match="must not be 'parameter_server' on Keras 3"):
        train(wanted, tmp_path / "run", verbose=0)


@on_keras_2
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"worker": 1, "ps": 1}, "one chief, and at least one worker and one ps"),
        ({"chief": 1, "worker": 1}, r"got \{'chief': 1, 'worker': 1\}"),
        (
            {"worker": 1, "ps": 1, "evaluator": 1},
            "chief, worker and ps tasks alone, and this process among them",
        ),
    ],
)
def test_a_cluster_of_other_roles_is_named(monkeypatch, counts, message):
    hosts = {role: ["a:1"] * count for role, count in counts.items()}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": hosts, "task": task}))
    with pytest.raises(ValueError, match=message):
        make_strategy(DistributionConfig(**SERVERS))


def test_a_profile_is_refused(tmp_path):
    wanted = config(tmp_path).override(distribution=SERVERS)
    with pytest.raises(ValueError, match="`profile` must be false"):
        train(wanted, tmp_path / "run", profile=True)


@on_keras_2
def test_columns_are_refused_before_servers_are_waited_for(tmp_path, monkeypatch):
    write_prepared(tmp_path / "data", {"train": rows(9, 0), "val": rows(9, 1)})
    monkeypatch.setenv("TF_CONFIG", _as_chief())
    wanted = config(tmp_path / "data").override(distribution=SERVERS)
    with pytest.raises(ManifestError, match="--output-format tfrecord"):
        train(wanted, tmp_path / "run", verbose=0)


def _as_chief():
    task = {"type": "chief", "index": 0}
    return json.dumps({"cluster": cluster(chief=1, worker=1, ps=1), "task": task})


@pytest.mark.parametrize("finished", [True, False])
def test_a_server_ends_when_its_chief_is_gone(tmp_path, monkeypatch, finished):
    monkeypatch.setattr(servers, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(servers, "_SECONDS_WITHOUT_CHIEF", 60 if finished else 0.05)
    chief = socket.create_server(("localhost", 0))
    told = f"localhost:{chief.getsockname()[1]}", RunFolder(tmp_path)
    waiting = threading.Thread(target=servers._wait_for_the_end_of, args=told)
    waiting.start()
    if finished:
        (tmp_path / "FINISHED").touch()
    waiting.join(0.3)
    assert waiting.is_alive()
    chief.close()
    waiting.join(10)
    assert not waiting.is_alive()


@on_keras_2
@pytest.mark.parametrize("finished", [True, False])
def test_a_server_tells_whether_the_run_was_finished(tmp_path, monkeypatch, finished):
    task = {"type": "ps", "index": 0}
    hosts = cluster(chief=1, worker=1, ps=1)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": hosts, "task": task}))
    monkeypatch.setattr(servers, "_wait_for_the_end_of", lambda *told: None)
    monkeypatch.setattr(tf.distribute, "Server", lambda *args, **kwargs: None)
    monkeypatch.setenv("GRPC_FAIL_FAST", "use_caller")
    if finished:
        (tmp_path / "FINISHED").touch()
        assert servers.serve(RunFolder(tmp_path))
        return
    with pytest.raises(WorkerLostError, match="the chief of the run ended"):
        servers.serve(RunFolder(tmp_path))


class _Weights:
    """Stands in for a model: all that `ChiefCopy` asks is its weights."""

    def __init__(self, *shapes):
        self.weights = [tf.Variable(tf.zeros(shape)) for shape in shapes]


def test_a_copy_takes_shards_apart_and_together():
    whole, sharded = _Weights([5, 2], [3], []), _Weights([3, 2], [2, 2], [3], [])
    copy = ChiefCopy(whole, sharded)
    values = [np.arange(10.0).reshape(5, 2), np.ones(3), np.array(7.0)]
    for weight, value in zip(whole.weights, values, strict=True):
        weight.assign(value)
    copy.push()
    np.testing.assert_array_equal(sharded.weights[1], values[0][3:])
    sharded.weights[0].assign(-sharded.weights[0])
    copy.pull()
    np.testing.assert_array_equal(whole.weights[0][:3], -values[0][:3])
    assert [float(whole.weights[2]), *copy.shards().values()] == [7.0, 2]


def test_a_copy_of_another_model_is_refused():
    with pytest.raises(ValueError, match="more weights than its copy"):
        ChiefCopy(_Weights([5, 2]), _Weights([5, 2], [1]))
