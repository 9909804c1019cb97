"""`hgr-tf calibrate`: probabilities of a run that hold, fitted after training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hgr_tf.calibration.method import Method
from hgr_tf.cli.options import AsJson, FinishedRun, HalvesSeed, RunData, StepSize
from hgr_tf.cli.stages import load_tensorflow

if TYPE_CHECKING:
    from hgr_tf.calibration.calibration import Calibration
    from hgr_tf.calibration.heads import AnyCalibration


def calibrate(
    run: FinishedRun,
    split: Annotated[
        str | None,
        typer.Option(
            help="Which split, of rows not trained on. Default: the validation split."
        ),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="A line through the logits, a rising line of pieces, or a line for "
            "each value of --by."
        ),
    ] = "platt",
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Feature of the spec with one category per row, for per-slice.",
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            help="Calibrate this one of several heads, and leave what is there of the "
            "others; may be repeated. Default: all."
        ),
    ] = None,
    data: RunData = None,
    batch_size: StepSize = 8192,
    as_json: AsJson = False,
    seed: HalvesSeed = 0,
) -> None:
    """Fit a calibration on half of a split, and measure it on the other half.

    Writes RUN/calibration.json, in the place of one that is there. `hgr-tf export`
    puts it into the model; training the run anew removes it.
    """
    load_tensorflow()
    from hgr_tf.calibration.heads import HeadCalibrations
    from hgr_tf.comparing import calibrating
    from hgr_tf.training.run_data import load_run_and_data, untrained_split
    from hgr_tf.training.run_folder import RunFolder

    loaded, prepared = load_run_and_data(run, data, shrunk=True)
    split = untrained_split(loaded, split, data)
    with prepared.errors():
        found = calibrating.calibrate(
            loaded.model,
            prepared,
            split,
            method,
            by=by,
            batch_size=batch_size,
            from_logits=loaded.config.method.from_logits,
            seed=seed,
            heads=head or (),
        )
    found = {
        name: one.model_copy(update={"shrinkage": loaded.taus})
        for name, one in found.items()
    }
    path = RunFolder(run).calibration
    saved: AnyCalibration = found.get("") or HeadCalibrations(
        heads={**(_by_head(loaded.calibration) if head else {}), **found}
    )
    saved.save(path)
    if as_json:
        typer.echo(saved.model_dump_json())
        return
    for name, one in found.items():
        _print(name, one)
    typer.echo(f"{path}: written; `hgr-tf export` puts it into the model")


def _by_head(calibration: AnyCalibration | None) -> dict[str, Calibration]:
    from hgr_tf.calibration.heads import HeadCalibrations

    return calibration.heads if isinstance(calibration, HeadCalibrations) else {}


def _print(head: str, found: Calibration) -> None:
    from hgr_tf.cli.metrics_table import measured_on, print_halves

    function = found.function
    method = f"{head}: {function.method}" if head else function.method
    title = (
        f"{method}, fitted on {found.fitted_rows:,} rows of {found.split!r}, "
        f"measured on {found.measured_rows:,} {measured_on(found.halves)}"
    )
    rows = [
        ("before", found.before.model_dump()),
        ("after", found.after.model_dump()),
    ]
    print_halves(title, rows, {"tied": "tied rows"})
    if function.method == "platt":
        typer.echo(f"slope {function.slope:.4f}, intercept {function.intercept:.4f}")
    elif function.method == "isotonic":
        typer.echo(f"{len(function.at):,} knots")
    else:
        rest = function.fallback
        typer.echo(
            f"{len(function.slices):,} values of {function.column!r} have a scale of "
            "their own; the others, and unseen ones, share "
            f"slope {rest.slope:.4f}, intercept {rest.intercept:.4f}"
        )
