"""One epoch of the same MLP on the same KuaiRand rows: ours beside FuxiCTR's.

    python -m benchmarks.peer [--rounds 3] [--data FOLDER] [--environment FOLDER]

Both see the categorical features of examples/kuairand_pure/spec.yaml, tags as means,
with embeddings of 16, three layers of 128, Adam and shuffled batches of 4,096. Each
run is a process of its own that is pinned to one core; the epoch is timed, reading
included, after some steps that warm up. FuxiCTR and its torch, several gigabytes, are
installed into an environment of their own the first time. Prints JSON:

    ours_rows_per_cpu_s, fuxictr_rows_per_cpu_s   medians of the rounds
    ratio                                         of the two, to reach 1.2
    parameters, losses                            of both: they are the same model
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.pipeline import ROOT, SHARED, SPEC
from benchmarks.timing import print_json

BATCH, WARM_UP = 4096, 20
UNITS, DIM, RATE = (128, 128, 128), 16, 1e-3
PACKAGES = ("torch==2.13.0", "fuxictr==2.3.10")


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 3,
    data: Annotated[Path, typer.Option(help="The KuaiRand-Pure part.")] = SHARED
    / "kuairand_pure_partial",
    environment: Annotated[Path, typer.Option(help="Of FuxiCTR.")] = ROOT / ".peer",
    ours: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measures and prints."""
    if ours is not None:
        print(json.dumps(run_ours(ours)))
        return
    python = peer_environment(environment)
    with tempfile.TemporaryDirectory() as scratch:
        folder = prepared(data, Path(scratch))
        columns = write_columns(folder, Path(scratch, "columns"))
        commands = {
            "ours": [sys.executable, "-m", "benchmarks.peer", "--ours", str(folder)],
            "fuxictr": [str(python), "-m", "benchmarks.peer_fuxictr", str(columns)],
        }
        runs: dict[str, list[dict]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                runs[name].append(pinned(command))
    speeds = {
        name: statistics.median(run["rows"] / run["cpu_s"] for run in told)
        for name, told in runs.items()
    }
    print_json(
        {
            **{f"{name}_rows_per_cpu_s": speed for name, speed in speeds.items()},
            "ratio": speeds["ours"] / speeds["fuxictr"],
            "parameters": {n: told[0]["parameters"] for n, told in runs.items()},
            "losses": {n: [run["loss"] for run in told] for n, told in runs.items()},
            "versions": PACKAGES,
        }
    )


def peer_environment(folder: Path) -> Path:
    """Python of an environment with FuxiCTR; makes it the first time."""
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(install, check=True, stdout=sys.stderr)
        done.touch()
    return python


def prepared(data: Path, scratch: Path) -> Path:
    """The training rows of KuaiRand, prepared."""
    from hgr_tf.pipelines.run import prepare

    prepare(
        SPEC,
        [f"train={data / 'train.parquet'}"],
        scratch / "prepared",
        user_table=data / "user_features_pure.csv",
        item_table=data / "video_features_basic_pure.csv",
    )
    return scratch / "prepared"


def write_columns(folder: Path, target: Path) -> Path:
    """The same encoded rows as FuxiCTR reads them: train.npz and features.json."""
    from hgr_tf.data import PreparedData
    from hgr_tf.features import USER

    data = PreparedData.load(folder)
    spec = data.encoding.spec
    seen = [f.name for f in spec.features() if f.transform.is_categorical]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in [*seen, "label"]}
    for inputs, labels in data.dataset("train", 8192):
        inputs.pop(USER)
        for name in seen:
            parts[name].append(inputs[name].numpy())
        parts["label"].append(labels.numpy())
    target.mkdir()
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    np.savez(target / "train.npz", **columns)
    features = {
        name: {
            "vocab_size": data.encoding.num_ids(name),
            "length": columns[name].shape[1] if columns[name].ndim > 1 else None,
        }
        for name in seen
    }
    (target / "features.json").write_text(json.dumps(features), encoding="utf-8")
    return target


def pinned(command: list[str]) -> dict[str, Any]:
    """Runs a command on one core and one thread; what it printed last."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    core = max(os.sched_getaffinity(0))
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**environment, "TF_NUM_INTEROP_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_ours(folder: Path) -> dict[str, Any]:
    """Trains one epoch of ours in this process."""
    import tensorflow as tf

    from hgr_tf.data import PreparedData
    from hgr_tf.training import RunConfig
    from hgr_tf.training.build_and_evaluate import build_model

    data = PreparedData.load(folder)
    features = data.encoding.spec.features()
    numbers = [f.name for f in features if not f.transform.is_categorical]
    ranker = {"embedding_dim": DIM, "hidden_units": UNITS, "without": numbers}
    config = RunConfig.model_validate({"ranker": ranker})
    model = build_model(config, data.encoding)
    model.compile(tf.keras.optimizers.Adam(RATE))
    model.fit(data.dataset("train", BATCH).take(WARM_UP), verbose=0)
    start = time.process_time()
    batches = data.dataset("train", BATCH, shuffle=True, seed=1)
    history = model.fit(batches, verbose=0)
    return {
        "rows": data.rows("train"),
        "cpu_s": time.process_time() - start,
        "parameters": model.ranker.count_params(),
        "loss": history.history["loss"][-1],
    }


if __name__ == "__main__":
    typer.run(main)
