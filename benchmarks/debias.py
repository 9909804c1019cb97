"""Does a side tower find the true order in clicks that positions moved?

    python -m benchmarks.debias [--rows 150000] [--seeds 5] [--effect 1.0]

Logs are generated: an item that is shown often stands higher on the page, and what
stands lower is clicked less, by `effect` times the log of its position. Clicks
therefore overrate items that are shown often, and the truth is known: the probability
of a click on each row, had it stood at position 1. Two rankers are trained on the same
rows from the same weights:

    biased      does not know the positions
    debiased    `training_only: {position: 1}`: a side tower sees them in training

Prints JSON: Kendall's tau between the order of each and the truth, over the rows of
"val" and as the mean over users of that of their rows; the differences debiased minus
biased, paired by seed, with a 95% interval (t); and what the tower learned of each
position in logits, beside the truth.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.stats
import tensorflow as tf
import typer

from benchmarks.paired import paired_difference
from benchmarks.timing import print_json
from hgr_tf.data import PreparedData
from hgr_tf.data.synthetic import write_logs
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.pipelines.run import prepare
from hgr_tf.rankers import mlp_ranker
from hgr_tf.training import RunConfig, train

DEBIASED = "training_only: {position: 1}\n"
RANKERS = {"biased": "benchmarks.debias:without_tower", "debiased": "mlp"}
CONFIG = """
data: {{path: {data}}}
ranker: {{type: "{ranker}", embedding_dim: 16, hidden_units: [64, 32]}}
training: {{batch_size: 1024, epochs: 3, learning_rate: 0.002, schedule: linear}}
seed: {seed}
"""


class Taus(NamedTuple):
    """Kendall's tau of a ranker's order and the truth.

    Attributes:
        rows: Over all rows.
        users: Mean over the users of that over their rows.
    """

    rows: float
    users: float


def without_tower(encoding: FeatureEncoding, **options: Any) -> tf.keras.Model:
    """The ranker without the features that only training knows."""
    return mlp_ranker.__wrapped__(encoding, **options)


def prepared(folder: Path, rows: int, effect: float, seed: int) -> dict[str, Path]:
    """Generates and prepares a log with its clicks, and with the truth as its label."""
    logs = write_logs(folder, rows=rows, position_effect=effect, seed=seed)
    table = pq.read_table(logs.log).append_column(
        "relevance", pa.array(logs.relevance.astype(np.float32))
    )
    pq.write_table(table, logs.log)
    text = logs.spec.read_text(encoding="utf-8") + DEBIASED
    specs = {"clicks": text, "truth": text.replace("label: click", "label: relevance")}
    tables = {"user_table": folder / "users.csv", "item_table": folder / "items.csv"}
    paths = {name: folder / name for name in specs}
    for name, spec in specs.items():
        encoding = None if name == "clicks" else str(paths["clicks"])
        prepare(
            FeatureSpec.from_yaml(spec),
            [str(logs.log)],
            paths[name],
            encoding_from=encoding,
            **tables,
        )
    return paths


def taus(model: tf.keras.Model, truth: PreparedData) -> Taus:
    """How well a model orders the rows of "val" whose labels are the truth."""
    columns = [
        (features[USER].numpy(), label.numpy(), model(features)[:, 0].numpy())
        for features, label in truth.dataset("val", 8192)
    ]
    users, labels, scores = map(np.concatenate, zip(*columns, strict=True))
    of_users = [_tau(labels[own], scores[own]) for own in _rows_by_user(users)]
    return Taus(_tau(labels, scores), float(np.nanmean(of_users)))


def effects(model: tf.keras.Model, encoding: FeatureEncoding) -> dict[str, float]:
    """What the side tower adds at each position, less what it adds at the first."""
    tower = model.ranker.get_layer("side_tower.position")
    ids = range(encoding.first_vocabulary_id("position"), encoding.num_ids("position"))
    zeros = tf.zeros([len(ids), 1])
    moved = tower(zeros, tf.constant(list(ids)), training=True) - tower(zeros, zeros)
    named = {str(encoding.value_of("position", number)): number for number in ids}
    found = dict(zip(named, moved[:, 0].numpy().tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def run_seed(folder: Path, rows: int, effect: float, seed: int) -> dict[str, Any]:
    """Trains both rankers on one log; their taus, and the effects of positions."""
    paths = prepared(folder / "data", rows, effect, seed)
    truth = PreparedData.load(paths["truth"])
    found: dict[str, Any] = {}
    for name, ranker in RANKERS.items():
        text = CONFIG.format(data=paths["clicks"], ranker=ranker, seed=seed)
        run = train(RunConfig.from_yaml(text), folder / name, verbose=0)
        found[name] = taus(run.model, truth)
    found["effects"] = effects(run.model, run.encoding)
    return found


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Taus by seed, their means, and the paired differences."""
    told: dict[str, Any] = {}
    for kind in Taus._fields:
        by_seed = {name: [getattr(run[name], kind) for run in runs] for name in RANKERS}
        told[f"tau of {kind}"] = {
            **{name: float(np.mean(values)) for name, values in by_seed.items()},
            "difference": paired_difference(by_seed["debiased"], by_seed["biased"]),
            "by_seed": by_seed,
        }
    return told


def _tau(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(scipy.stats.kendalltau(truth, scores).statistic)


def _rows_by_user(users: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(users, kind="stable")
    starts = np.unique(users[order], return_index=True)[1]
    return [own for own in np.split(order, starts[1:]) if len(own) > 1]


def main(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows of each log.")] = 150_000,
    seeds: Annotated[int, typer.Option(min=1, help="Logs and pairs of rankers.")] = 5,
    effect: Annotated[float, typer.Option(help="Of a position, in logits.")] = 1.0,
) -> None:
    """Compare a debiased ranker with a biased one on logs of known truth."""
    runs = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as scratch:
            runs.append(run_seed(Path(scratch), rows, effect, seed))
    positions = runs[0]["effects"]
    learned = {
        name: float(np.mean([run["effects"][name] for run in runs]))
        for name in positions
    }
    truth = {name: -effect * float(np.log(int(name))) for name in positions}
    told = {"rows": rows, "effect": effect, "seeds": seeds, **summary(runs)}
    print_json({**told, "positions": {"learned": learned, "truth": truth}})


if __name__ == "__main__":
    typer.run(main)
