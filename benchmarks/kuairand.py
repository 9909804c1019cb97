"""Does the method pay on KuaiRand-Pure? Two splits, two kinds of labels, two rankers.

    python -m benchmarks.kuairand [--data FOLDER] [--seeds 5] [--only temporal]

FOLDER is `kuairand_pure_partial`; by default the one below `../shared/data` beside the
project. Two ways to split: "temporal" trains on the days before those of val.parquet;
"random" takes 70/10/20% of the rows of both files, each user's positives and negatives
in proportion, as the paper does, and evaluates the last part. Two kinds of labels: all,
and "rare", where positives were dropped at random until 5% are left. On each of the
four MLP and DCN-v2, as tuned in examples/kuairand_pure, by LogLoss alone and with each
ranking loss of `COMPARISON`. Prints a line of JSON per case, as it ends; finished cases
and runs of --output are kept.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.comparisons import findings, tell_once
from benchmarks.pipeline import SHARED, SPEC
from hgr_tf.comparing import CompareConfig, compare
from hgr_tf.data.manifest import FILE_NAME
from hgr_tf.pipelines.run import prepare
from hgr_tf.result_files import write_text

KUAIRAND = SHARED / "kuairand_pure_partial"
COLUMNS = ["user_id", "video_id", "long_view"]
RARE = 0.05
RANDOM_SPLIT = "split: {by: random, fractions: {train: 0.7, val: 0.1, test: 0.2}}\n"
RANKERS = ("mlp", "dcn_v2")
COMPARISON = """
base:
  data: {{path: {data}}}
  ranker: {{type: {ranker}, embedding_dim: 16, hidden_units: [128, 64]}}
  training: {{batch_size: 1024, epochs: 2, learning_rate: 0.001, schedule: linear}}
methods:
  log_loss: none
  groups: default
  random_codes: random_codes
  list_ce_batch: list_ce_batch
baseline: log_loss
controls: {{groups: random_codes}}
evaluate: {evaluate}
pre_check: {{permutations: 3, features: []}}
seeds: {seeds}
"""


class Split(Enum):
    """How rows are split."""

    TEMPORAL = "temporal"
    RANDOM = "random"


def main(
    data: Annotated[Path, typer.Option(help="Folder of KuaiRand-Pure.")] = KUAIRAND,
    output: Path = Path("kuairand"),
    seeds: Annotated[int, typer.Option(min=2)] = 5,
    only: Annotated[
        list[Split] | None, typer.Option(help="May be repeated; else both.")
    ] = None,
) -> None:
    """Compares the method with LogLoss alone on each split, label and ranker."""
    if not (data / "train.parquet").exists():
        raise typer.BadParameter(f"{data} must hold train.parquet and val.parquet")
    for split in [one.value for one in only or Split]:
        for labels in ("all", "rare"):
            for ranker in RANKERS:
                folder = output / f"{split}_{labels}"
                case = f"{split} split, {labels} labels, {ranker}"
                given = (folder, data, split, labels, ranker, seeds)
                tell_once(folder / ranker, case, run_case, *given)


def run_case(
    folder: Path, data: Path, split: str, labels: str, ranker: str, seeds: int
) -> dict[str, Any]:
    """Prepares the rows, once for both rankers, and compares; see `findings`."""
    prepared = folder / "prepared"
    if not (prepared / FILE_NAME).exists():
        prepare_rows(folder, data, split, labels)
    config = COMPARISON.format(
        data=prepared,
        ranker=ranker,
        evaluate="test" if split == "random" else "val",
        seeds=seeds,
    )
    results = compare(CompareConfig.from_yaml(config), folder / ranker)
    return findings(results)


def prepare_rows(folder: Path, data: Path, split: str, labels: str) -> None:
    """Writes FOLDER/prepared."""
    logs = {
        name: pq.read_table(data / f"{name}.parquet", columns=COLUMNS)
        for name in ("train", "val")
    }
    spec = SPEC.read_text(encoding="utf-8")
    if split == "random":
        spec += RANDOM_SPLIT
        logs = {"log": pa.concat_tables(logs.values())}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "spec.yaml", spec)
    inputs = []
    for name, log in logs.items():
        path = folder / f"{name}.parquet"
        pq.write_table(with_rare_positives(log) if labels == "rare" else log, path)
        inputs.append(str(path) if split == "random" else f"{name}={path}")
    prepare(
        folder / "spec.yaml",
        inputs,
        str(folder / "prepared"),
        user_table=data / "user_features_pure.csv",
        item_table=data / "video_features_basic_pure.csv",
        overwrite=True,
    )


def with_rare_positives(log: pa.Table) -> pa.Table:
    """The log without so many positives, drawn at random, that `RARE` of it are."""
    positive = log["long_view"].to_numpy() > 0
    wanted = (~positive).sum() * RARE / (1 - RARE)
    kept = np.random.default_rng(0).random(len(log)) < wanted / positive.sum()
    return log.filter(pa.array(~positive | kept))


if __name__ == "__main__":
    typer.run(main)
