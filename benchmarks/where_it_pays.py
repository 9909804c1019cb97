"""Where does the method pay? Comparisons on logs whose truth is known.

    python -m benchmarks.where_it_pays [--seeds 5] [--only truth]

Each case generates logs, prepares them and compares the default method with LogLoss
alone, beside its control, in which the codes are dealt anew among the users of each
batch. The `truth` cases are those whose answer the mechanism gives: users in clusters
of taste who are shown what their cluster likes; users who are a bias and nothing else;
and the first with too few rows to tell. Clusters also differ in how much they click:
a negative of another cluster is then easy, which is what groups are for. The others
change one knob at a time of the first case at a quarter of its size. Rate and epochs
are the best for LogLoss alone of 0.001 to 0.01 and 3 or 6, by LogLoss of the first
case. Prints a line of JSON per case, as it ends; finished cases of --output are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.comparisons import findings, tell_once
from hgr_tf.comparing import CompareConfig, compare
from hgr_tf.data.synthetic import write_logs
from hgr_tf.pipelines.run import prepare

PLANTED: dict[str, Any] = {
    "rows": 1_000_000,
    "users": 14_000,
    "taste_strength": 1.0,
    "shown_by_taste": 0.5,
    "intercept": -4.5,
    "cluster_bias": 2.0,
}
QUARTER = {"rows": 250_000, "users": 3_500}
KNOBS: dict[str, dict[str, dict[str, Any]]] = {
    "rows": {f"{n:,} rows": {"rows": n} for n in (60_000, 250_000, 1_000_000)},
    "positives": {f"intercept {b}": {"intercept": b} for b in (-6.5, -2.6, 0.0)},
    "taste": {f"taste {s}": {"taste_strength": s} for s in (0.25, 0.5, 2.0)},
    "clusters": {f"cluster bias {b}": {"cluster_bias": b} for b in (0.0, 1.0, 3.0)},
    "exposure": {f"shown {s}": {"shown_by_taste": s} for s in (0.0, 0.9)},
}
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "truth": {
        "planted": {},
        "bias": {"taste_strength": 0.0},
        "few rows": {"rows": 10_000, "users": 140},
    },
    **{
        curve: {name: QUARTER | knob for name, knob in points.items()}
        for curve, points in KNOBS.items()
    },
}
COMPARISON = """
base:
  data: {{path: {data}}}
  ranker: {{type: mlp, embedding_dim: 16, hidden_units: [64, 32]}}
  training: {{batch_size: 2048, epochs: 3, learning_rate: 0.01, schedule: linear}}
methods:
  log_loss: none
  groups: default
  random_codes: random_codes
baseline: log_loss
controls: {{groups: random_codes}}
pre_check: {{permutations: 3, features: []}}
seeds: {seeds}
smallest_gain: 0.002  # worth a step that takes a twentieth longer
"""


def main(
    output: Path = Path("where_it_pays"),
    seeds: Annotated[int, typer.Option(min=2)] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Some of {', '.join(CASES)}.")
    ] = None,
) -> None:
    """Compares the method with LogLoss alone on logs of known truth."""
    for group in only or CASES:
        for name, knobs in CASES[group].items():
            folder = output / name.replace(" ", "_").replace(",", "")
            asked = {**PLANTED, **knobs}
            tell_once(folder, name, run_case, folder, asked, seeds)


def run_case(folder: Path, knobs: dict[str, Any], seeds: int) -> dict[str, Any]:
    """Generates, prepares and compares; the knobs and `findings`."""
    logs = write_logs(folder / "logs", **knobs)
    data = folder / "prepared"
    prepare(logs.spec, [str(logs.log)], str(data), overwrite=True)
    config = CompareConfig.from_yaml(COMPARISON.format(data=data, seeds=seeds))
    results = compare(config, folder / "comparison")
    clicks = float(logs.probability.mean())
    return {"knobs": knobs, "clicks": clicks, **findings(results)}


if __name__ == "__main__":
    typer.run(main)
