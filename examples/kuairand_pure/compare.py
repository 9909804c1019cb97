"""Trains every config here with several seeds; prints the table of the README.

python examples/kuairand_pure/compare.py --data prepared/kuairand_pure
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hgr_tf.training import RunConfig, train

METRICS = {"gauc": "GAUC", "log_loss": "LogLoss", "pcoc": "PCOC", "ece": "ECE"}
CONFIGS = [
    "mlp",
    "hierarchical_mlp",
    "averaged_mlp",
    "dcn_v2",
    "hierarchical_dcn_v2",
]


def main(
    data: Annotated[Path, typer.Option(help="Output of `hgr-tf prepare`.")],
    output: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 1 on.")] = 3,
) -> None:
    """Mean and standard deviation over the seeds, on the validation split."""
    lines = [
        f"| config | {' | '.join(METRICS.values())} |",
        "| --- |" + " --- |" * len(METRICS),
    ]
    for name in CONFIGS:
        config = RunConfig.load(Path(__file__).with_name(f"{name}.yaml"))
        runs = [
            train(config.override(data__path=str(data), seed=s), output / f"{name}-{s}")
            for s in range(1, seeds + 1)
        ]
        cells = []
        for metric in METRICS:
            values = [run.metrics[metric] for run in runs]
            cells.append(f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}")
        lines.append(f"| {name}.yaml | {' | '.join(cells)} |")
    print("\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
