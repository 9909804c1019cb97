"""What a vocabulary costs for each distinct value: `benchmarks.scale` asks for it.

One worker adds up what all have seen, learns, and writes; each worker that encodes then
holds the vocabulary. Both run here on values alone, in processes of their own.
"""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.memory import Peak
from hgr_tf.features import FeatureEncoding, FeatureSpec
from hgr_tf.pipelines.learning.learn import learn
from hgr_tf.pipelines.learning.observation import Observation, summarize
from hgr_tf.pipelines.learning.statistics import feature_statistics
from hgr_tf.pipelines.steps.observe import MergeObservations
from hgr_tf.pipelines.steps.plan import save_encoding

TYPES = {"distinct integers": "int64", "distinct texts": "string"}
"""By name of the case. Texts are of 16 characters."""

_PARTS = 4
_SPEC = """
name: values
user_id: user
item_id: item
label: click
user: {user: {type: categorical, dtype: DTYPE}}
item: {item: {type: hashed, num_buckets: 10}}
"""


def plan(dtype: str, distinct: int, folder: Path, seed: int) -> dict[str, float]:
    """Learns a vocabulary from parts that hold each value up to four times."""
    spec = FeatureSpec.from_yaml(_SPEC.replace("DTYPE", dtype))
    values = _values(dtype, distinct, seed)
    feature, item = spec.features()
    none = summarize(item, pa.array([], pa.string()))
    with Peak() as peak:
        cpu = time.process_time()
        merge = MergeObservations()
        seen = merge.create_accumulator()
        for part in range(_PARTS):
            own = values.slice(part * distinct // _PARTS // 2, distinct // 2 + 1)
            summary = summarize(feature, own)
            seen = merge.add_input(seen, Observation(log={"user": summary}))
        rest = summarize(feature, values.slice(distinct // 2))
        seen = merge.add_input(seen, Observation(log={"user": rest}))
        total = merge.extract_output(seen)
        handed_on = len(pickle.dumps(total))
        summaries = {"user": total.log["user"], "item": none}
        encoding = learn(spec, summaries)
        save_encoding(encoding, summaries, str(folder))
        feature_statistics(feature, summaries["user"], encoding)
        cpu = time.process_time() - cpu
    return {
        "bytes_handed_on": handed_on,
        "planner_peak_bytes": peak.bytes,
        "planner_cpu_seconds": cpu,
        "bytes_of_files": sum(f.stat().st_size for f in folder.rglob("*.txt")),
    }


def encode(dtype: str, distinct: int, folder: Path, seed: int) -> dict[str, float]:
    """Loads the vocabulary as a worker does, and looks a batch up."""
    batch = _values(dtype, 65_536, seed)
    with Peak() as peak:
        encoding = FeatureEncoding.load(folder)
        (feature,) = encoding.spec.features("user")
        feature.transform.encoder(encoding.learned("user"))(batch)
    return {"worker_peak_bytes": peak.bytes}


STEPS = {"plan": plan, "encode": encode}


def _values(dtype: str, count: int, seed: int) -> pa.Array:
    numbers = np.random.default_rng(seed).permutation(count).astype(np.int64)
    numbers += 10**9
    if dtype == "int64":
        return pa.array(numbers)
    return pa.array([f"user-{number:011d}" for number in numbers.tolist()])
