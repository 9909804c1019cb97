"""What do weight averages and shrinkage bring over the plain run, on KuaiRand-Pure?

    python -m benchmarks.free_gains [--seeds 3] [--output FOLDER]

The ranker of examples/kuairand_pure/mlp.yaml is trained as it is, and from the same
seeds in the other ways that docs/training.md names:

    plain                 a rate that decays to 0 along a line
    constant              a constant rate, which is what the averages are of
    weight_ema            the constant rate with `weight_ema: 0.995`
    average_checkpoints   the constant rate with the last 5 checkpoints averaged, which
                          are 100 steps apart
    shrinkage             the plain run after `hgr-tf shrink` with its default list

Half of the users of "val" choose tau; all figures are of the rows of the other half.
Prints JSON: the figures by seed, and the differences to the plain run (of the averages
to the constant rate, too), paired by seed, with their mean, standard error and 95%
interval (t). Where the data is not there it prints why it was skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import scipy.stats
import typer

from benchmarks.paired import paired_difference
from benchmarks.pipeline import ROOT, SHARED, SPEC
from benchmarks.timing import print_json
from hgr_tf.result_files import plain, write_text

CONFIG = ROOT / "examples" / "kuairand_pure" / "mlp.yaml"
CONSTANT = {"schedule": "constant"}
TRAINED: dict[str, dict[str, Any]] = {
    "plain": {},
    "constant": CONSTANT,
    "weight_ema": {**CONSTANT, "weight_ema": 0.995},
    "average_checkpoints": {
        **CONSTANT,
        "average_checkpoints": 5,
        "checkpoints": {"every_steps": 100},
    },
}
METHODS = (*TRAINED, "shrinkage")
BESIDE = {
    "constant": ("plain",),
    "weight_ema": ("plain", "constant"),
    "average_checkpoints": ("plain", "constant"),
    "shrinkage": ("plain",),
}
"""What each method is compared with: averages also with what they are averages of."""

DIFFERENCES = ("gauc", "log_loss", "ece")
FIGURES = (*DIFFERENCES, "pcoc")
DEAL = 0
"""Seed of the halves: the users that measure are the same in all runs."""


def prepare_data(source: Path, folder: Path) -> Path:
    """Prepares the KuaiRand-Pure part, unless `folder` holds it already."""
    from hgr_tf.pipelines.run import prepare

    if not (folder / "MANIFEST.json").exists():
        prepare(
            SPEC,
            {name: str(source / f"{name}.parquet") for name in ("train", "val")},
            folder,
            user_table=source / "user_features_pure.csv",
            item_table=source / "video_features_basic_pure.csv",
        )
    return folder


def run_seed(data: Path, output: Path, seed: int, options: dict[str, Any]) -> dict:
    """Trains and measures all methods from one seed.

    Args:
        data: The prepared folder.
        output: Folder of the runs.
        seed: The seed.
        options: Fields of `training` that all methods have instead of the config's.
    """
    from hgr_tf.data import PreparedData
    from hgr_tf.training import RunConfig, train

    prepared, found = PreparedData.load(data), {}
    for name, own in TRAINED.items():
        base = RunConfig.load(CONFIG).override(data__path=str(data), seed=seed)
        settings = base.training.model_dump() | own | options
        config = base.override(training=settings)
        run = train(config, output / f"{name}-{seed}", verbose=0)
        found[name] = measured(run.model, prepared)
        if name == "plain":
            found |= {"shrinkage": shrunk(run, prepared)}
    return found


def measured(model: Any, data: Any) -> dict[str, float]:
    """Figures of the half of the users that measures."""
    from hgr_tf.comparing.calibrating import deal_halves
    from hgr_tf.comparing.figures import Predictions, figures
    from hgr_tf.comparing.predicting import predict_heads

    ((rows, _),) = predict_heads(model, data, "val", []).values()
    _, choosing = deal_halves(rows.users, DEAL)
    found = figures(Predictions(*(column[~choosing] for column in rows)))
    return {name: found[name] for name in FIGURES}


def shrunk(run: Any, data: Any) -> dict[str, Any]:
    """Figures of a run whose users' embeddings are shrunk, and the tau that was chosen.

    The run's model is left shrunk.
    """
    from hgr_tf.comparing.shrinking import shrink
    from hgr_tf.training.shrinkage import shrink_tables, training_counts

    feature = run.encoding.known_users
    counts = training_counts(run.path, feature)
    found = shrink(run.model, data, "val", feature, counts, seed=DEAL)
    taus = {feature: found.tau}
    shrink_tables(run.model.ranker, run.encoding, run.path, taus)
    return {**measured(run.model, data), "tau": found.tau, "tried": found.tried}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures by seed, and differences to the runs that a method is judged by."""
    told: dict[str, Any] = {}
    for name in METHODS:
        told[name] = {"by_seed": {f: [run[name][f] for run in runs] for f in FIGURES}}
        for other in BESIDE.get(name, ()):
            told[name][f"minus_{other}"] = {
                figure: difference(
                    [run[name][figure] for run in runs],
                    [run[other][figure] for run in runs],
                )
                for figure in DIFFERENCES
            }
    told["shrinkage"]["tau"] = [run["shrinkage"]["tau"] for run in runs]
    return told


def difference(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """The paired difference with its standard error."""
    found = paired_difference(ours, theirs)
    error = float(scipy.stats.sem(found["by_seed"])) if len(ours) > 1 else None
    return {**found, "standard_error": error}


def in_process(data: Path, output: Path, seed: int, options: dict) -> dict:
    """Runs a seed in a process of its own, whose memory ends with it."""
    told = output / f"seed-{seed}.json"
    if not told.exists():
        case = json.dumps([str(data), str(output), seed, options])
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.free_gains"]
        subprocess.run([*command, "--case", case], check=True, stdout=sys.stderr)
    return json.loads(told.read_text(encoding="utf-8"))


def main(
    seeds: Annotated[int, typer.Option(min=3, help="Seeds of training.")] = 3,
    output: Annotated[
        Path | None, typer.Option(help="Folder of data and runs; finished seeds stay.")
    ] = None,
    data: Annotated[Path, typer.Option(help="The KuaiRand-Pure part.")] = SHARED
    / "kuairand_pure_partial",
    case: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measures and prints."""
    if case:
        prepared, folder, seed, options = json.loads(case)
        found = run_seed(Path(prepared), Path(folder), seed, options)
        told = Path(folder, f"seed-{seed}.json")
        write_text(told, json.dumps(plain(found), indent=1) + "\n")
        return
    if not data.exists():
        reason = f"no data in {data}: give --data, the KuaiRand-Pure part"
        print_json({"skipped": reason})
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = output or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        prepared = prepare_data(data, folder / "prepared")
        runs = [in_process(prepared, folder, seed, {}) for seed in range(seeds)]
    print(json.dumps({"seeds": seeds, **summary(runs)}, indent=1))


if __name__ == "__main__":
    typer.run(main)
