"""How often does a comparison of a ranker with itself give a wrong verdict?

    python -m benchmarks.false_alarms [--runs 60] [--comparisons 100] [--seeds 3]

Trains one config with many seeds on small generated logs. Each comparison draws twice
as many of these runs as it has seeds, without replacement, and compares one half with
the other by the rule of `hgr-tf compare`. The right verdicts are "does not pay" and
"not decided". Prints JSON: how often each verdict came, and the runs' spread of GAUC.
Runs lie in --output and are never trained twice.
"""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.timing import print_json
from hgr_tf.comparing import CompareConfig
from hgr_tf.comparing.differences import differences
from hgr_tf.comparing.figures import BY_USER, figures
from hgr_tf.comparing.one_run import load_predictions, run_folder, run_once
from hgr_tf.comparing.verdict import decide
from hgr_tf.data.synthetic import write_logs
from hgr_tf.pipelines.run import prepare

CONFIG = """
base:
  data: {{path: {data}}}
  ranker: {{type: mlp, embedding_dim: 8, hidden_units: [32]}}
  training: {{batch_size: 512, epochs: 2, learning_rate: 0.003}}
methods: {{itself: none, again: none}}
baseline: itself
"""


def main(
    output: Path = Path("false_alarms"),
    runs: Annotated[int, typer.Option(min=6, help="Trained rankers.")] = 60,
    comparisons: Annotated[int, typer.Option(min=1)] = 100,
    seeds: Annotated[int, typer.Option(min=2, help="Of each half.")] = 3,
    rows: Annotated[int, typer.Option(min=1_000, help="Of the log.")] = 30_000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Trains, compares and prints."""
    data = output / "prepared"
    if not (data / "MANIFEST.json").exists():
        logs = write_logs(output / "logs", rows=rows, users=500)
        prepare(logs.spec, [str(logs.log)], str(data), overwrite=True)
    config = CompareConfig.from_yaml(CONFIG.format(data=data))
    for number in range(runs):
        folder = run_folder(output, "itself", number)
        run_once(config.run("itself", number), folder, config.split)
    trained = [
        load_predictions(run_folder(output, "itself", number)) for number in range(runs)
    ]
    parts = {name: list(map(of_user, trained)) for name, of_user in BY_USER.items()}
    random = np.random.default_rng(seed)
    verdicts: collections.Counter[str] = collections.Counter()
    for number in range(comparisons):
        drawn = random.choice(runs, 2 * seeds, replace=False)
        halves = {"itself": drawn[:seeds], "again": drawn[seeds:]}
        gauc, log_loss = (
            differences(
                {name: [sums[i] for i in half] for name, half in halves.items()},
                "itself",
                seed=number,
            )["again"]
            for sums in (parts["gauc"], parts["log_loss"])
        )
        verdict = decide(gauc, log_loss, config.smallest_gain, config.largest_loss)
        verdicts[verdict.word] += 1
    gaucs = [figures(predictions)["gauc"] for predictions in trained]
    print_json(
        {
            "runs": runs,
            "comparisons": comparisons,
            "seeds": seeds,
            "rows": rows,
            "verdicts": dict(verdicts),
            "gauc": {
                "mean": float(np.mean(gaucs)),
                "std": float(np.std(gaucs, ddof=1)),
            },
        }
    )


if __name__ == "__main__":
    typer.run(main)
