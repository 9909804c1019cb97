"""`hgr-tf shrink`: embeddings of rare users pulled toward the mean, after training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hgr_tf.cli.options import AsJson, FinishedRun, HalvesSeed, RunData, StepSize
from hgr_tf.cli.stages import load_tensorflow

if TYPE_CHECKING:
    from hgr_tf.training import Run
    from hgr_tf.training.shrinkage import TableShrinkage


def shrink(
    run: FinishedRun,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split to choose tau on; the run must not have been trained on it. "
            "Default: the validation split."
        ),
    ] = None,
    tau: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0,
            help="An id of n training rows keeps n / (n + TAU) of its embedding. A "
            "single value is used without a search, and 0 undoes it; several are "
            "tried, and 0 with them. Default: 0, 1, 2, 5, 10, 20 and 50 are tried.",
        ),
    ] = None,
    feature: Annotated[
        str | None,
        typer.Option(
            help="Feature whose table to shrink; tables that were shrunk before stay "
            "so. Default: the id of the user."
        ),
    ] = None,
    data: RunData = None,
    batch_size: StepSize = 8192,
    as_json: AsJson = False,
    seed: HalvesSeed = 0,
) -> None:
    """Shrink the embeddings of ids with few training rows toward the mean.

    Half of a split chooses how strongly, by LogLoss, and the other half measures what
    it does. Writes RUN/shrinkage.json, which `hgr-tf evaluate`, `calibrate` and
    `export` take up; a calibration that was fitted before is removed.
    """
    load_tensorflow()
    from hgr_tf.comparing import shrinking
    from hgr_tf.training.run_data import load_run_and_data, untrained_split
    from hgr_tf.training.run_folder import RunFolder
    from hgr_tf.training.shrinkage import (
        Shrinkage,
        shrink_tables,
        table_of,
        training_counts,
    )

    loaded, prepared = load_run_and_data(run, data)
    split = untrained_split(loaded, split, data)
    feature = feature or _user_id(loaded)
    table_of(loaded.model.ranker, loaded.encoding, feature)
    before = loaded.shrinkage
    others = {k: v for k, v in before.tables.items() if k != feature} if before else {}
    taus = {name: one.tau for name, one in others.items()}
    counts = training_counts(run, feature, data)
    shrink_tables(loaded.model.ranker, loaded.encoding, run, taus)
    with prepared.errors():
        found = shrinking.shrink(
            loaded.model,
            prepared,
            split,
            feature,
            counts,
            taus=tau or shrinking.TAUS,
            batch_size=batch_size,
            from_logits=loaded.config.method.from_logits,
            seed=seed,
        )
    kept = Shrinkage(tables={**others, feature: found})
    changed = kept.taus != loaded.taus
    calibration = RunFolder(run).calibration
    dropped = changed and calibration.exists()
    kept.save(run)
    if dropped:  # Were this killed before, the run would be refused for it.
        calibration.unlink()
    if as_json:
        typer.echo(found.model_dump_json())
        return
    _print(feature, found)
    if dropped:
        typer.echo(f"{calibration}: removed, as it was fitted before; calibrate anew")
    typer.echo(
        f"{run}/shrinkage.json: written; evaluate, calibrate and export take it up"
    )


def _user_id(run: Run) -> str:
    feature = run.encoding.spec.id_feature("user")
    if feature is None:
        raise ValueError(
            "--feature must be given where the spec has no feature of the user's id"
        )
    return feature.name


def _print(feature: str, found: TableShrinkage) -> None:
    from hgr_tf.cli.metrics_table import measured_on, print_halves

    others = measured_on(found.halves)
    rows = [
        (f"{head}: {label}" if head else label, figures[head])
        for head in found.before
        for label, figures in (("before", found.before), ("after", found.after))
    ]
    title = f"{feature}: tau {found.tau:g}, measured on {others} of {found.split!r}"
    print_halves(title, rows)
    tried = ", ".join(f"{tau:g}: {loss:.5f}" for tau, loss in found.tried.items())
    typer.echo(f"LogLoss by tau, on the rows that chose: {tried}")
