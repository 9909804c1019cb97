"""`hgr-tf evaluate`: the metrics of a run on any prepared split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hgr_tf.cli.stages import load_tensorflow


def evaluate(
    run: Annotated[Path, typer.Option(help="Folder of a finished `hgr-tf train`.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Output of `hgr-tf prepare`. Default: that of the training."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split. Default: the validation split.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Examples per step; only speed depends on it.")
    ] = 8192,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON.")
    ] = False,
    user_taste: Annotated[
        bool,
        typer.Option(
            "--user-taste",
            help="Also swap the users' embeddings and rank again: what GAUC loses is "
            "what this ranker's embeddings tell of the users' tastes.",
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Of swapping the users' embeddings.")
    ] = 0,
) -> None:
    """Evaluate a trained run: LogLoss, AUC, GAUC, PCOC and ECE."""
    load_tensorflow()
    from hgr_tf import training
    from hgr_tf.cli.metrics_table import figure, print_metrics
    from hgr_tf.data import PreparedData
    from hgr_tf.training.run_folder import nulls

    loaded = training.load_run(run)
    if data is None:
        data = Path(loaded.config.data.path)
        if not data.is_dir():
            raise ValueError(
                f"{data}: no such folder here, where the run was trained on it: "
                "say where it is with --data"
            )
    split = split or loaded.config.data.validation
    prepared = PreparedData.load(data, spec=loaded.encoding.spec)
    prepared.check_encoding(loaded.encoding)
    metrics = training.evaluate(loaded.model, prepared, split, batch_size=batch_size)
    if user_taste:
        with prepared.errors():
            taste = training.check_user_taste(
                loaded.model.ranker,
                prepared.dataset(split, batch_size),
                loaded.config.method.user_embedding,
                seed=seed,
            )
        metrics["permuted_gauc"] = taste.permuted_gauc
        metrics["permuted_log_loss"] = taste.permuted_log_loss
    if as_json:
        typer.echo(json.dumps(nulls(metrics), allow_nan=False))
    else:
        print_metrics({run.name: metrics}, title=f"{run}, on {split!r} of {data}")
    if user_taste and not as_json:
        typer.echo(
            f"Users' embeddings swapped: GAUC {figure(taste.permuted_gauc)} "
            f"({figure(-taste.gauc_drop, '+.4f')}), "
            f"LogLoss {figure(taste.permuted_log_loss)} "
            f"({figure(taste.log_loss_rise, '+.4f')})"
        )
