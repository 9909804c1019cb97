"""`hgr-tf demo`: every command of the package, on generated logs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hgr_tf.data.synthetic import SyntheticLogs

CONFIG = """\
data: {{path: {data}}}
ranker: {{type: dcn_v2, embedding_dim: 16, hidden_units: [64, 32]}}
method: {method}
training: {{batch_size: 1024, epochs: 3, learning_rate: 0.002, schedule: linear}}
seed: {seed}
"""
METHODS = {"plain": "none", "hierarchical": "default"}


def demo(
    output: Annotated[Path, typer.Option(help="Folder to fill.")] = Path("demo"),
    rows: Annotated[
        int, typer.Option(min=1_000, help="Interactions to generate.")
    ] = 150_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed for all randomness.")] = 0,
) -> None:
    """Go from generated logs to a served prediction, in about two minutes.

    Prints each command as you would type it, then runs it. Run again, it
    starts over; an exported model becomes the next version.
    """
    from hgr_tf.cli.metrics_table import print_metrics
    from hgr_tf.data import synthetic

    typer.echo(f"Writing {rows:,} rows of logs to {output / 'logs'}")
    logs = synthetic.write_logs(output / "logs", rows=rows, seed=seed)
    data = output / "prepared"
    given = dict(spec=logs.spec, input=logs.log, seed=seed)
    _run("prepare", **given, output=data, overwrite=True)
    metrics = {}
    for name, method in METHODS.items():
        config = output / f"{name}.yaml"
        text = CONFIG.format(data=data, method=method, seed=seed)
        config.write_text(text, encoding="utf-8")
        run = output / "runs" / name
        _run("train", config=config, output=run, overwrite=True)
        metrics[name] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    print_metrics(metrics, title="The last day, that training did not see")
    typer.echo("One seed of generated logs shows how it goes, not which is better.")
    model = output / "models" / "ranker"
    _run("export", run=run, output=model)
    _run("export", run=run, output=model, verify_only=True)
    request = output / "request.jsonl"
    request.write_text(json.dumps(_a_row(logs)) + "\n", encoding="utf-8")
    typer.echo(f"\n{request}: {request.read_text(encoding='utf-8').strip()}")
    _run("predict", model=model, input=request)


def _run(command: str, **options: object) -> None:
    """Prints a command line of this program and runs it in this process."""
    from hgr_tf.cli.main import app

    arguments = [command]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        arguments += [option] if value is True else [option, str(value)]
    typer.echo(f"\n$ hgr-tf {shlex.join(arguments)}")
    app(arguments, standalone_mode=False)


def _a_row(logs: SyntheticLogs) -> dict[str, Any]:
    """The raw features of the log's last row, as a service would send them."""
    import pyarrow.csv
    import pyarrow.parquet

    from hgr_tf.features import FeatureSpec

    spec = FeatureSpec.load(logs.spec)
    log = pyarrow.parquet.read_table(logs.log)
    (row,) = log.slice(log.num_rows - 1).to_pylist()
    for table in spec.tables.values():
        if table.path:
            rows = pyarrow.csv.read_csv(logs.spec.parent / table.path).to_pylist()
            row |= next(r for r in rows if r[table.key] == row[table.key])
    return {feature.name: row[feature.column] for feature in spec.features()}
