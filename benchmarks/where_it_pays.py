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

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.timing import rounded
from hgr_tf.comparing import CompareConfig, compare
from hgr_tf.data.synthetic import write_logs
from hgr_tf.pipelines.run import prepare
from hgr_tf.result_files import write_text

PLANTED: dict[str, float] = {
    "rows": 150_000,
    "taste_strength": 1.0,
    "shown_by_taste": 0.5,
    "intercept": -2.6,
}
CASES: dict[str, dict[str, dict[str, float]]] = {
    "truth": {
        "planted": {},
        "bias": {"taste_strength": 0.0},
        "few rows": {"rows": 4_000},
    },
    "rows": {f"{n:,} rows": {"rows": n} for n in (20_000, 50_000, 400_000)},
    "positives": {f"intercept {b}": {"intercept": b} for b in (-5.5, -4.0, 0.0)},
    "taste": {f"taste {s}": {"taste_strength": s} for s in (0.25, 0.5, 2.0)},
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
            told = folder / "case.json"
            if not told.exists():
                found = run_case(folder, {**PLANTED, **knobs}, seeds)
                write_text(told, json.dumps(rounded({"case": name, **found}, 5)))
            print(told.read_text(encoding="utf-8"), flush=True)


def run_case(folder: Path, knobs: dict[str, float], seeds: int) -> dict[str, Any]:
    """Generates, prepares and compares; verdicts and differences of both methods."""
    logs = write_logs(folder / "logs", **{**knobs, "rows": int(knobs["rows"])})
    data = folder / "prepared"
    prepare(logs.spec, [str(logs.log)], str(data), overwrite=True)
    config = CompareConfig.from_yaml(COMPARISON.format(data=data, seeds=seeds))
    results = compare(config, folder / "comparison")
    found: dict[str, Any] = {"knobs": knobs, "clicks": float(logs.probability.mean())}
    for name in ("groups", "random_codes"):
        method = results["methods"][name]
        found[name] = {
            "verdict": method["verdict"]["word"],
            **{
                metric: [one["mean"], one["low"], one["high"]]
                for metric, one in method["difference"].items()
            },
        }
    baseline = results["methods"]["log_loss"]
    found["baseline_gauc"] = baseline["figures"]["gauc"]["mean"]
    found["users"] = results["pre_check"]["users"]
    control = results["methods"]["groups"]["control"]
    found["groups_over_random_codes"] = [
        control[key] for key in ("mean", "low", "high")
    ]
    return found


if __name__ == "__main__":
    typer.run(main)
