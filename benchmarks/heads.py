"""What do clicks teach a model of purchases?

    python -m benchmarks.heads [--rows 1000000] [--seeds 5] [--purchase-rate 0.02]

Logs are generated whose truth is known: clicks, some of which become purchases. Their
models are trained on the same rows, a log for each seed, and their scores are judged
as p(purchase) over all impressions of "val":

    clicks_alone   p(purchase | click) of a model trained on clicked rows alone
    separate       that times p(click) of a model of clicks alone
    shared_bottom, mmoe, ple
                   p(click) p(purchase | click) of the two heads of one model
    esmm           its p(purchase), trained over all impressions
    esmm_groups    the same with the group loss on its purchase head

Prints JSON: AUC of the purchases that were drawn, and the AUC that is to be expected by
the true probabilities, which the chance of few purchases does not blur; means over the
seeds, and the differences to `clicks_alone`, and of `esmm_groups` to `esmm`, paired by
seed with a 95% interval (t). And the ECE of each head of `esmm` before and after Platt
scaling, on the rows of users that did not fit it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from benchmarks.paired import paired_difference
from benchmarks.timing import print_json
from hgr_tf.comparing.calibrating import calibrate
from hgr_tf.data import PreparedData
from hgr_tf.data.synthetic import write_logs
from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.run import prepare
from hgr_tf.training import Run, RunConfig, train

SHARED = "{type: shared_bottom, hidden_units: [64], tower_units: [32]}"
RUNS = {
    "clicks_alone": (SHARED, "{heads: {click: {weight: 0}}}"),
    "clicks": (SHARED, "{heads: {purchase: {weight: 0}}}"),
    "shared_bottom": (SHARED, "none"),
    "mmoe": ("{type: mmoe, hidden_units: [64], tower_units: [32]}", "none"),
    "ple": ("{type: ple, hidden_units: [64], tower_units: [32]}", "none"),
    "esmm": ("{type: esmm, hidden_units: [64, 32]}", "none"),
    "esmm_groups": (
        "{type: esmm, hidden_units: [64, 32]}",
        "{heads: {purchase: {ranking_loss: list_ce}}}",
    ),
}
CONFIG = """
data: {{path: {data}}}
ranker: {ranker}
method: {method}
training: {{batch_size: 2048, epochs: 3, learning_rate: 0.002, schedule: linear}}
seed: {seed}
"""
Scores = dict[str, np.ndarray]
"""Probabilities [rows] by head, or by method."""


def prepared(folder: Path, rows: int, rate: float, seed: int) -> tuple[Path, Path]:
    """Generates a log; prepares it, and the same rows with the truth as labels."""
    logs = write_logs(folder, rows=rows, purchase_rate=rate, seed=seed)
    table = pq.read_table(logs.log)
    click = logs.probability
    truth = {"p_click": click, "p_purchase": click * logs.purchase}
    for name, probability in truth.items():
        table = table.append_column(name, pa.array(probability.astype(np.float32)))
    pq.write_table(table, logs.log)
    spec = FeatureSpec.load(logs.spec).model_dump(mode="json", by_alias=True)
    drawn, true = folder / "drawn", folder / "true"
    labels = {"click": "p_click", "purchase": "p_purchase"}
    for out, given in ((drawn, spec["labels"]), (true, labels)):
        prepare(
            FeatureSpec.model_validate(spec | {"labels": given}),
            [str(logs.log)],
            out,
            user_table=folder / "users.csv",
            item_table=folder / "items.csv",
            encoding_from=None if out == drawn else str(drawn),
        )
    return drawn, true


def scored(runs: dict[str, Run], data: PreparedData) -> tuple[np.ndarray, Scores]:
    """Labels of the purchases of "val", and each method's p(purchase)."""
    labels: list[np.ndarray] = []
    found: dict[str, list[Scores]] = {name: [] for name in runs}
    for features, some_labels, _ in data.dataset("val", 8192):
        labels.append(some_labels["purchase"].numpy())
        for name, run in runs.items():
            logits = run.model(features)
            found[name].append({h: expit(logits[h].numpy()[:, 0]) for h in logits})
    p = {name: _joined(parts) for name, parts in found.items()}
    scores = {"clicks_alone": p["clicks_alone"]["purchase"]}
    scores["separate"] = p["clicks"]["click"] * scores["clicks_alone"]
    for name in ("shared_bottom", "mmoe", "ple"):
        scores[name] = p[name]["click"] * p[name]["purchase"]
    for name in ("esmm", "esmm_groups"):
        scores[name] = p[name]["purchase"]
    return np.concatenate(labels), scores


def _joined(parts: list[Scores]) -> Scores:
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}


def expected_auc(probabilities: np.ndarray, scores: np.ndarray) -> float:
    """The AUC where each row is a positive and a negative by its true probability."""
    labels = np.repeat([1, 0], len(scores))
    weights = np.concatenate([probabilities, 1 - probabilities])
    return float(roc_auc_score(labels, np.tile(scores, 2), sample_weight=weights))


def run_seed(folder: Path, rows: int, rate: float, seed: int) -> dict[str, Any]:
    """Trains every model on one log: their AUCs, and the ECE of the heads of esmm."""
    drawn, true = prepared(folder / "data", rows, rate, seed)
    runs = {}
    for name, (ranker, method) in RUNS.items():
        text = CONFIG.format(data=drawn, ranker=ranker, method=method, seed=seed)
        runs[name] = train(RunConfig.from_yaml(text), folder / name, verbose=0)
    data = PreparedData.load(drawn)
    labels, scores = scored(runs, data)
    truth, scores_again = scored(runs, PreparedData.load(true))
    calibrations = calibrate(runs["esmm"].model, data, "val", "platt", seed=seed)
    return {
        "purchases": data.manifest.splits["train"].labels["purchase"].positives,
        "auc": {name: float(roc_auc_score(labels, s)) for name, s in scores.items()},
        "expected_auc": {n: expected_auc(truth, s) for n, s in scores_again.items()},
        "ece": {
            head: {"before": one.before.ece, "after": one.after.ece}
            for head, one in calibrations.items()
        },
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds, and the paired differences."""
    told: dict[str, Any] = {"purchases": [run["purchases"] for run in runs]}
    for figure in ("auc", "expected_auc"):
        by_seed = {n: [run[figure][n] for run in runs] for n in runs[0][figure]}
        told[figure] = {
            "mean": {name: float(np.mean(values)) for name, values in by_seed.items()},
            "over clicks_alone": {
                name: paired_difference(values, by_seed["clicks_alone"])
                for name, values in by_seed.items()
                if name != "clicks_alone"
            },
            "esmm_groups over esmm": paired_difference(
                by_seed["esmm_groups"], by_seed["esmm"]
            ),
        }
    told["ece of esmm"] = {
        head: {when: [run["ece"][head][when] for run in runs] for when in one}
        for head, one in runs[0]["ece"].items()
    }
    return told


def main(
    rows: Annotated[
        int, typer.Option(min=20_000, help="Rows of each log.")
    ] = 1_000_000,
    seeds: Annotated[int, typer.Option(min=1, help="Logs, and models of each.")] = 5,
    purchase_rate: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Share of the clicks.")
    ] = 0.02,
) -> None:
    """Compare models of purchases over all impressions, on logs of known truth."""
    runs = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as scratch:
            runs.append(run_seed(Path(scratch), rows, purchase_rate, seed))
    told = {"rows": rows, "purchase_rate": purchase_rate, "seeds": seeds}
    print_json({**told, **summary(runs)}, digits=4)


if __name__ == "__main__":
    typer.run(main)
