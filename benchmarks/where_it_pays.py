"""Where does the method pay? Comparisons on logs whose truth is known.

    python -m benchmarks.where_it_pays [--seeds 5] [--only truth]

Each case generates logs, prepares them and compares the default method with LogLoss
alone, beside its control, in which the codes are dealt anew among the users of each
batch. The `truth` cases are those whose answer the mechanism gives: users in clusters
of taste who are shown what their cluster likes; users who are a bias and nothing else;
and the first with too few rows to tell. The others change one knob of the first at a
time. Prints a line of JSON per case, as it ends; finished cases of --output are kept.
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
    "rows": 150_000,
    "taste_strength": 1.0,
    "shown_by_taste": 0.5,
    "intercept": -2.6,
}
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "truth": {
        "planted": {},
        "bias": {"taste_strength": 0.0},
        "few rows": {"rows": 4_000},
    },
    "rows": {f"{n:,} rows": {"rows": n} for n in (20_000, 50_000, 400_000)},
    "positives": {f"intercept {b}": {"intercept": b} for b in (-5.5, -4.0, 0.0)},
    "taste": {f"taste {s}": {"taste_strength": s} for s in (0.25, 0.5, 2.0)},
    "clusters": {f"cluster bias {b}": {"cluster_bias": b} for b in (1.0, 2.0)},
    "exposure": {f"shown {s}": {"shown_by_taste": s} for s in (0.0, 0.9)},
}
COMPARISON = """
base:
  data: {{path: {data}}}
  ranker: {{type: mlp, embedding_dim: 16, hidden_units: [64, 32]}}
  training: {{batch_size: 1024, epochs: 3, learning_rate: 0.002, schedule: linear}}
methods:
  log_loss: none
  groups: default
  random_codes: random_codes
baseline: log_loss
controls: {{groups: random_codes}}
pre_check: {{permutations: 3, features: []}}
seeds: {seeds}
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
