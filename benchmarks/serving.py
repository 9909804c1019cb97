"""`python -m benchmarks.serving`: what serving costs, measured in one run.

Prints JSON. Every pair of a ratio is timed in turns, call by call, so that what
else the machine does falls on both; a ratio is that of the 25th percentiles.

    twin_latency_ratio  exported wrapped model / never-wrapped twin
    twin_ops_equal      whether both have the same ops, each as often
    rank_ratio_<N>      rank of N items / the same as N rows that repeat the user
    example_ratio_100   100 serialized tf.Examples / 100 rows of raw tensors
    cases               milliseconds of each case, bytes of its request, and the
                        same request through the local server
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import tensorflow as tf
import typer

import hgr_tf
from hgr_tf.export.checking.saved_graph import SavedGraph
from hgr_tf.export.client import Client
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.ranker import ranker_of
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.runtime.tensor_protos import to_proto
from hgr_tf.export.saving.writer import write
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec

USERS, ITEMS = 10_000, 10_000
SPEC = FeatureSpec.from_yaml("""
name: serving_benchmark
user_id: user
item_id: item
label: click
user:
  user: {type: categorical, dtype: int64}
  age: {type: bucketized, boundaries: [18, 25, 35, 50]}
  country: {type: categorical}
  device: {type: categorical}
  activity: {type: numeric, log1p: true}
  segment: {type: hashed, num_buckets: 100}
  history: {type: multi_categorical, dtype: int64, max_length: 50}
item:
  item: {type: categorical, dtype: int64}
  brand: {type: categorical}
  category: {type: categorical}
  price: {type: numeric, log1p: true}
  duration: {type: bucketized, boundaries: [10, 30, 60, 120]}
  tags: {type: multi_categorical, dtype: int64, max_length: 5}
  seller: {type: hashed, num_buckets: 1000}
context:
  hour: {type: categorical, dtype: int64}
  page: {type: categorical}
""")


def main(
    calls: Annotated[int, typer.Option(min=1, help="Of each case.")] = 200,
    threads: Annotated[int, typer.Option(help="Of the sessions; 0: TensorFlow's.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights and requests.")] = 0,
) -> None:
    """Measures and prints."""
    tf.keras.utils.set_random_seed(seed)
    encoding = benchmark_encoding()
    names = [f.name for f in SPEC.features()]
    with tempfile.TemporaryDirectory() as scratch:
        base_path = Path(scratch, "ranker")
        folder, twin_folder = base_path / "1", Path(scratch, "twin")
        base_path.mkdir()
        model = wrapped_model(encoding)
        write(ranker_of(model), folder, encoding)
        write(benchmark_ranker(encoding), twin_folder, encoding)
        session = ServingSession(folder, threads)
        twin = ServingSession(twin_folder, threads)
        requests = benchmark_requests(SampleRequests(encoding, names, seed))
        with Served(base_path, threads) as client:
            cases = measure_cases(requests, session, twin, client, calls)
        same_ops = SavedGraph(folder).op_counts() == SavedGraph(twin_folder).op_counts()
    print(json.dumps(summary(cases, same_ops), indent=1))


def benchmark_encoding() -> FeatureEncoding:
    """Vocabularies of a small shop."""
    sizes = {
        "user": USERS,
        "country": 100,
        "device": 20,
        "history": ITEMS,
        "item": ITEMS,
        "brand": 500,
        "category": 200,
        "tags": 1000,
        "hour": 24,
        "page": 10,
    }
    return FeatureEncoding(
        SPEC,
        vocabularies={k: tuple(map(str, range(n))) for k, n in sizes.items()},
        boundaries={"age": (18, 25, 35, 50), "duration": (10, 30, 60, 120)},
        moments={"activity": (3.0, 1.0), "price": (3.0, 1.0)},
    )


def benchmark_ranker(encoding: FeatureEncoding) -> tf.keras.Model:
    """DCN-v2 with a real user tower: 1024-512-256 over a history of 50 items.

    Widths and history of the tower in P. Covington et al., "Deep Neural Networks
    for YouTube Recommendations", RecSys 2016.
    """
    return hgr_tf.rankers.dcn_v2_ranker(
        encoding,
        embedding_dim=32,
        hidden_units=(128, 64),
        user_tower=(1024, 512, 256),
    )


def wrapped_model(encoding: FeatureEncoding):
    """The method around the ranker, after a step of training."""
    model = hgr_tf.HierarchicalGroupwiseRanker(
        benchmark_ranker(encoding),
        user_embedding="user_embedding",
        quantizer=hgr_tf.layers.ResidualVectorQuantizer(3, 32),
        ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(3),
    )
    model.compile("adam")
    rows = 256
    features = {
        name: np.zeros(
            [rows, *tensor.shape[1:]], tf.as_dtype(tensor.dtype).as_numpy_dtype
        )
        for name, tensor in model.ranker.input.items()
    }
    features["user"] = np.arange(rows)
    model.fit(features | {USER: features["user"]}, np.arange(rows) % 2.0, verbose=0)
    return model


def benchmark_requests(samples: SampleRequests) -> dict[str, tuple[str, dict]]:
    """(signature, inputs) of each case."""
    items = {f.name for f in SPEC.features("item")}
    cases = {}
    for rows in (1, 100, 1000):
        cases[f"raw_{rows}"] = ("serving_default", samples.raw(rows))
    serialized = [e.SerializeToString() for e in samples.examples(100)]
    cases["examples_100"] = ("examples", {"inputs": np.array(serialized, object)})
    for n in (100, 1000):
        rank = samples.rank(1, n)
        repeated = {k: v[0] if k in items else np.repeat(v, n) for k, v in rank.items()}
        cases[f"rank_{n}"] = ("rank", rank)
        cases[f"repeated_{n}"] = ("serving_default", repeated)
    return cases


class Served:
    """The local server in a process of its own, with a client."""

    def __init__(self, base_path: Path, threads: int):
        command = [
            sys.executable,
            "-m",
            "hgr_tf.export.server",
            "--model",
            str(base_path),
        ]
        command += ["--port", "0", "--rest-port", "0", "--name", "ranker"]
        command += ["--session-threads", str(threads)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> Client:
        line = self._process.stdout.readline()  # "serving ranker: grpc A, rest B"
        self._client = Client(line.split()[3].rstrip(","), "ranker")
        return self._client

    def __exit__(self, *_):
        self._client.close()
        self._process.terminate()
        self._process.wait()


def measure_cases(requests, session, twin, client, calls: int) -> list[dict]:
    """Milliseconds of each case in each place, in turns."""
    timed: dict[tuple[str, str], Callable] = {}
    for name, (signature, inputs) in requests.items():
        timed[name, "session"] = lambda s=signature, x=inputs: session.call(s, x)
        timed[name, "twin"] = lambda s=signature, x=inputs: twin.call(s, x)
        timed[name, "server"] = lambda s=signature, x=inputs: client.predict(x, s)
    times = interleaved(timed, calls)
    return [
        {
            "case": name,
            "request_bytes": request_bytes(inputs),
            **{f"{place}_ms": times[name, place] for place in PLACES},
        }
        for name, (_, inputs) in requests.items()
    ]


PLACES = ("session", "twin", "server")
_WARM_UP_CALLS = 5


def interleaved(timed: dict[tuple[str, str], Callable], calls: int) -> dict:
    """25th percentile of each function's milliseconds, one call each in turn."""
    order = np.random.default_rng(0)
    keys = list(timed)
    milliseconds = {key: [] for key in keys}
    for turn in range(_WARM_UP_CALLS + calls):
        # A fixed order would give each function the caches of the one before.
        for i in order.permutation(len(keys)):
            start = time.perf_counter()
            timed[keys[i]]()
            if turn >= _WARM_UP_CALLS:
                milliseconds[keys[i]].append((time.perf_counter() - start) * 1000)
    return {key: float(np.percentile(ms, 25)) for key, ms in milliseconds.items()}


def request_bytes(inputs: dict[str, np.ndarray]) -> int:
    """Bytes of the tensors of a request."""
    return sum(to_proto(array).ByteSize() for array in inputs.values())


def summary(cases: list[dict], same_ops: bool) -> dict:
    """The ratios, from the cases."""
    ms = {case["case"]: case["session_ms"] for case in cases}
    twin_ratios = [case["session_ms"] / case["twin_ms"] for case in cases]
    return {
        "twin_latency_ratio": round(float(np.median(twin_ratios)), 3),
        "twin_ops_equal": same_ops,
        "rank_ratio_100": round(ms["rank_100"] / ms["repeated_100"], 3),
        "rank_ratio_1000": round(ms["rank_1000"] / ms["repeated_1000"], 3),
        "example_ratio_100": round(ms["examples_100"] / ms["raw_100"], 3),
        "cases": [
            {k: round(v, 3) if isinstance(v, float) else v for k, v in case.items()}
            for case in cases
        ],
    }


if __name__ == "__main__":
    typer.run(main)
