"""One run of a comparison: trained, evaluated, and left as files."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgr_tf.comparing.figures import Predictions, figures
from hgr_tf.comparing.predicting import chosen_head, predict_heads
from hgr_tf.result_files import write_arrays, write_text
from hgr_tf.training.config import RunConfig

if TYPE_CHECKING:
    from hgr_tf.data import PreparedData
    from hgr_tf.training import Run

RESULT = "result.json"
PREDICTIONS = "predictions.npz"
GROUPS = "groups.json"


def run_folder(output: str | Path, method: str, seed: int) -> Path:
    """Folder of one run of a comparison."""
    return Path(output) / "runs" / method / str(seed)


def limit_threads(threads: int) -> None:
    """Gives this process its share of the cores; before TensorFlow's first use."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def run_once(
    config: RunConfig, folder: str | Path, split: str, head: str | None = None
) -> dict[str, Any]:
    """Trains a run into a folder, or finds it there, and evaluates it.

    Args:
        config: Config of the run.
        folder: Folder of the run; holds result.json and predictions.npz at the end.
        split: Split of the data to evaluate.
        head: Which of several heads is evaluated; the first by default.

    Returns:
        What result.json holds: "figures", "cpu_seconds" and "steps" of training, and
        "peak_mb".
    """
    folder = Path(folder)
    if (finished := finished_result(folder)) is not None:
        return finished
    from hgr_tf.data import PreparedData
    from hgr_tf.training import RunFolder, train

    config.distribution.check_one_process("a comparison")
    start = time.process_time()
    run = train(config, folder, verbose=0)
    seconds = time.process_time() - start
    data = PreparedData.load(config.data.path)
    rows = predict_heads(
        run.model, data, split, (), from_logits=config.method.from_logits
    )
    predictions, _ = rows[chosen_head([*rows], head, "`head`")]
    write_arrays(folder / PREDICTIONS, predictions._asdict(), compress=True)
    result = {
        "figures": figures(predictions),
        "cpu_seconds": seconds,
        "steps": len(RunFolder(folder).history())
        * data.steps(config.data.train, config.training.batch_size),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    write_text(folder / RESULT, json.dumps(result, indent=1) + "\n")
    return result


def finished_result(folder: str | Path) -> dict[str, Any] | None:
    """What `run_once` returned for a folder; None where the run is not finished."""
    file = Path(folder) / RESULT
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def describe_once(folder: str | Path, split: str, head: str | None = None) -> None:
    """Writes groups.json of a finished run, unless it is there; see `groups_of_run`."""
    file = Path(folder) / GROUPS
    if file.exists():
        return
    from hgr_tf.training.run_data import load_run_and_data

    run, data = load_run_and_data(folder)
    write_text(file, json.dumps(groups_of_run(run, data, split, head), indent=1) + "\n")


def groups_of_run(
    run: Run, data: PreparedData, split: str, head: str | None = None
) -> list[dict[str, Any]]:
    """The groups of the rows of a split that a head is judged on, by a run's codes.

    There are none for a run without codes.
    """
    from hgr_tf.codes import codes_of_split, groups_of_split

    quantizer = run.model.quantizer
    if quantizer is None or not quantizer.started.numpy():
        return []
    parts = list(codes_of_split(run, data, split, named=False))
    head = head or run.model.heads[0]
    given = (run.model.given or {}).get(head)
    groups = groups_of_split(data, split, parts, label=head or None, given=given)
    return [
        {**group._asdict(), "top": [top._asdict() for top in group.top]}
        for group in groups
    ]


def load_predictions(folder: str | Path) -> Predictions:
    """Reads what `run_once` left."""
    with np.load(Path(folder) / PREDICTIONS) as arrays:
        return Predictions(**{name: arrays[name] for name in Predictions._fields})
