"""What do large tables and a second worker cost?

    python -m benchmarks.scaling

Prints, for the flavour of Keras that runs it,

- `step_10m_over_0.1m`: CPU seconds of a training step with a table of ten million
  ids over those with 0.1 million, for `LazyAdam` on Zipf ids; beside it uniform
  ids, `RowwiseAdagrad`, and Keras's Adam for a few steps;
- `mib_per_million_ids`: memory that a million ids of 16 weights take in training;
- `two_workers_over_one`: rows per second of two workers of a
  MultiWorkerMirroredStrategy, each pinned to a core of its own, over those of one
  pinned worker, with the default method (Keras 2; null on Keras 3, whose own
  strategy of several workers does not train): the median of three rounds for 16,384
  rows a worker. `two_workers_over_one_by_batch` holds each round, of 4,096 rows too,
  where what workers exchange weighs more beside what they compute.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.timing import print_json, train_function_of
from hgr_tf.compat import KERAS_3
from hgr_tf.layers import RowEmbedding
from hgr_tf.optimizers import LazyAdam, RowwiseAdagrad

BATCH, DIM, UNITS = 4096, 16, (128, 128, 128)
SMALL, LARGE = 100_000, 10_000_000
OTHERS = 7
"""Small tables beside the large one."""
WORKER_BATCHES = (4096, 16_384)
"""Rows of a worker's step."""
WARM_UP = 20
"""Steps of a worker before those that count."""


def zipf_ids(num_ids, size, random):
    """Ids of a Zipf law, frequent ones scattered over the whole table."""
    ranks = np.minimum(random.zipf(1.2, size), num_ids) - 1
    return (ranks * 2_654_435_761) % num_ids


def uniform_ids(num_ids, size, random):
    return random.integers(0, num_ids, size)


class Step:
    """A training step of an MLP over one table of `num_ids` and small ones."""

    def __init__(self, num_ids, optimizer, draw, batches=64):
        random = np.random.default_rng(0)
        self._model = make_mlp(num_ids)
        self._model.compile(
            optimizer, tf.keras.losses.BinaryCrossentropy(from_logits=True)
        )
        rows = [
            {
                "user": draw(num_ids, BATCH, random),
                **{f"f{i}": random.integers(0, 1000, BATCH) for i in range(OTHERS)},
            }
            for _ in range(batches)
        ]
        labels = [
            (random.random((BATCH, 1)) < 0.3).astype(np.float32) for _ in range(batches)
        ]
        self._data = tf.data.Dataset.from_tensor_slices(
            ({k: np.stack([row[k] for row in rows]) for k in rows[0]}, np.stack(labels))
        ).repeat()
        self._iterator = iter(self._data)
        self._function = train_function_of(self._model)

    def cpu_seconds(self, steps):
        """CPU seconds that `steps` steps take."""
        start = time.process_time()
        for _ in range(steps):
            self._function(self._iterator)
        return time.process_time() - start


def make_mlp(num_ids):
    user = tf.keras.Input((), dtype="int64", name="user")
    inputs = {"user": user}
    vectors = [RowEmbedding(num_ids, DIM, name="user_embedding")(user)]
    for i in range(OTHERS):
        inputs[f"f{i}"] = tf.keras.Input((), dtype="int64", name=f"f{i}")
        vectors.append(RowEmbedding(1000, DIM)(inputs[f"f{i}"]))
    hidden = tf.keras.layers.Concatenate()(vectors)
    for units in UNITS:
        hidden = tf.keras.layers.Dense(units, "relu")(hidden)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(1)(hidden))


def table_ratio(make_optimizer, draw, steps, rounds=5, warmup=20):
    """Ratio of CPU seconds, large table over small: median, lowest and highest."""
    sides = [Step(size, make_optimizer(), draw) for size in (SMALL, LARGE)]
    for side in sides:
        side.cpu_seconds(warmup)
    ratios = []
    for _ in range(rounds):
        small, large = (side.cpu_seconds(steps) for side in sides)
        ratios.append(large / small)
    return {
        "median": statistics.median(ratios),
        "min": min(ratios),
        "max": max(ratios),
    }


def mib_per_million(make_optimizer, ids=4_000_000):
    """Growth of the process per million ids, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--memory-of"]
    sizes = []
    for size in (SMALL, SMALL + ids):
        done = subprocess.run(
            [*command, make_optimizer.__name__, "--ids", str(size)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        sizes.append(json.loads(done.stdout.splitlines()[-1]))
    return (sizes[1] - sizes[0]) / (ids / 1e6)


def print_memory(optimizer, ids):
    """Prints the MiB that a process which trains a table of `ids` held at most."""
    makers = {"LazyAdam": LazyAdam, "RowwiseAdagrad": RowwiseAdagrad}
    Step(ids, makers[optimizer](), zipf_ids, batches=8).cpu_seconds(10)
    status = Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**10)


def workers_rows_per_s(num_workers, steps, batch):
    """Rows per second of all workers together, each pinned to a core."""
    ports = [_free_port() for _ in range(num_workers)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    processes = []
    for index in range(num_workers):
        task = {"type": "worker", "index": index}
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
        }
        command = [sys.executable, "-m", "benchmarks.scaling", "--worker-steps"]
        processes.append(
            subprocess.Popen(
                [*command, str(steps), "--core", str(index), "--batch", str(batch)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("a worker failed; run `--worker-steps 10 --core 0` alone")
    return sum(json.loads(output.splitlines()[-1]) for output in outputs)


def two_over_one(batch, steps, rounds=3):
    """Rows per second of two workers over those of one, in each round."""
    pairs = [
        [workers_rows_per_s(count, steps, batch) for count in (2, 1)]
        for _ in range(rounds)
    ]
    return [two / one for two, one in pairs]


def train_as_worker(steps, core, batch):
    """Trains the default method in one worker of TF_CONFIG; prints its rows/s."""
    os.sched_setaffinity(0, {core})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    # One that waits for the other worker must not hold up what is to be computed.
    tf.config.threading.set_inter_op_parallelism_threads(8)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    import hgr_tf

    with strategy.scope():
        ranker = make_mlp(SMALL)
        model = hgr_tf.HierarchicalGroupwiseRanker(
            ranker,
            user_embedding="user_embedding",
            quantizer=hgr_tf.layers.ResidualVectorQuantizer(3, 8, start_step=4),
            ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(3),
            quantization_dropout=0.25,
        )
        model.compile(tf.keras.optimizers.Adagrad(0.01))
    random = np.random.default_rng(core)
    # Keras deals each batch out among the workers.
    shape = (16, batch * strategy.num_replicas_in_sync)
    rows = {"user": zipf_ids(SMALL, shape, random)}
    rows |= {f"f{i}": random.integers(0, 1000, shape) for i in range(OTHERS)}
    labels = (random.random(shape) < 0.3).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((rows, labels)).repeat()
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    data = data.with_options(options)
    ends: list[float] = []
    # Not the whole call: after its last step `fit` waits for a thread of TensorFlow
    # that polls every few seconds.
    clock = tf.keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    model.fit(data, steps_per_epoch=WARM_UP + steps, verbose=0, callbacks=[clock])
    print(steps * batch / (ends[-1] - ends[-1 - steps]))


def _free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory-of", help="Part of a measurement.")
    parser.add_argument("--ids", type=int, default=SMALL)
    parser.add_argument("--worker-steps", type=int, help="Part of a measurement.")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--steps", type=int, default=200, help="Steps of a round.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.memory_of:
        print_memory(options.memory_of, options.ids)
        return
    if options.worker_steps:
        train_as_worker(options.worker_steps, options.core, options.batch)
        return
    steps, rounds = options.steps, options.rounds
    zipf = table_ratio(LazyAdam, zipf_ids, steps, rounds)
    uniform = table_ratio(LazyAdam, uniform_ids, steps, rounds)
    adagrad = table_ratio(RowwiseAdagrad, zipf_ids, steps, rounds)
    adam = table_ratio(tf.keras.optimizers.Adam, zipf_ids, 2, 1, warmup=1)
    workers = None if KERAS_3 else {b: two_over_one(b, steps) for b in WORKER_BATCHES}
    print_json(
        {
            "keras": 3 if KERAS_3 else 2,
            "step_10m_over_0.1m": zipf["median"],
            "step_10m_over_0.1m_zipf": zipf,
            "step_10m_over_0.1m_uniform": uniform,
            "step_10m_over_0.1m_rowwise_adagrad": adagrad,
            "step_10m_over_0.1m_keras_adam": adam["median"],
            "mib_per_million_ids": mib_per_million(LazyAdam),
            "mib_per_million_ids_rowwise_adagrad": mib_per_million(RowwiseAdagrad),
            "two_workers_over_one": workers
            and statistics.median(workers[max(WORKER_BATCHES)]),
            "two_workers_over_one_by_batch": workers,
        }
    )


if __name__ == "__main__":
    main()
