"""`hgr-tf export`: a trained run becomes a version that a server picks up."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgr_tf.cli.options import Keep, NewVersion
from hgr_tf.cli.stages import load_tensorflow
from hgr_tf.export.table_dtype import TableDtype

if TYPE_CHECKING:
    from hgr_tf.calibration.heads import AnyCalibration
    from hgr_tf.comparing.gate_config import GateConfig
    from hgr_tf.training import Run

log = logging.getLogger(__name__)


def export(
    output: Annotated[
        Path,
        typer.Option(help="Folder of the model's versions, such as models/ranker."),
    ],
    run: Annotated[
        Path | None, typer.Option(help="Folder of a finished `hgr-tf train`.")
    ] = None,
    version: NewVersion = None,
    keep: Keep = None,
    warmup: Annotated[
        int, typer.Option(help="Warm-up requests to store, at most 1000.")
    ] = 30,
    table_dtype: Annotated[
        TableDtype | None,
        typer.Option(help="Store embedding tables so; float32 by default."),
    ] = None,
    logits: Annotated[
        bool, typer.Option("--logits", help="Give logits beside the probabilities.")
    ] = False,
    no_calibration: Annotated[
        bool,
        typer.Option(
            "--no-calibration",
            help="Leave out the calibration that `hgr-tf calibrate` put into the run.",
        ),
    ] = False,
    onnx: Annotated[
        Path | None,
        typer.Option(
            help="Write the ranker over integer ids as an ONNX file too, for ONNX "
            "Runtime or OpenVINO."
        ),
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option(
            help="YAML of what the version must reach, alone and beside the newest "
            "one; else it is not published. See `hgr-tf docs serving`."
        ),
    ] = None,
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback",
            help="Export nothing; withdraw the newest version, so that servers "
            "return to the one before.",
        ),
    ] = False,
    verify_only: Annotated[
        bool,
        typer.Option(
            "--verify-only",
            help="Export nothing; check a version (the newest, or --version) for "
            "training-only parts. With --run all checks run.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed for all randomness.")] = 0,
) -> None:
    """Export the ranker of a run for TensorFlow Serving.

    Writes OUTPUT/<version>/, a SavedModel that takes raw feature values. It is
    checked for training-only parts, and then appears in one step.
    """
    if gate and (rollback or verify_only):
        raise ValueError(
            "--gate must not be given with --rollback or --verify-only, which export "
            "nothing"
        )
    if rollback:
        _roll_back(output)
    elif verify_only:
        _verify(output, version, run)
    elif run is None:
        raise ValueError("--run must be given: the folder of a finished training run")
    else:
        judged_by = _load_gate(gate) if gate else None
        loaded = _load(run, seed)
        calibration = None if no_calibration else loaded.calibration
        if onnx:
            _check_onnx(loaded, onnx)
        approve = None
        if gate and judged_by:
            from hgr_tf.cli.gating import approval
            from hgr_tf.comparing.gate import Candidate

            candidate = Candidate(loaded, calibration, table_dtype)
            approve = approval(judged_by, gate, candidate, output, seed)
        if table_dtype:
            _print_score_change(loaded, table_dtype, seed)
        with (
            _onnx_file(loaded, onnx, calibration) if onnx else contextlib.nullcontext()
        ):
            _export(
                loaded,
                output,
                version,
                keep=keep,
                warmup=warmup,
                table_dtype=table_dtype,
                with_logits=logits,
                calibration=calibration,
                approve=approve,
                seed=seed,
            )


def _load_gate(path: Path) -> GateConfig:
    from hgr_tf.comparing.gate_config import GateConfig

    return GateConfig.load(path)


def _roll_back(output: Path) -> None:
    from hgr_tf.export.versions import roll_back

    withdrawn, newest = roll_back(output)
    typer.echo(f"{output}: version {withdrawn} withdrawn, {newest} is the newest")


def _verify(output: Path, version: int | None, run: Path | None) -> None:
    load_tensorflow()
    from hgr_tf.export.checking.replay import replay
    from hgr_tf.export.checking.signatures import check_signatures
    from hgr_tf.export.checking.verification import verify
    from hgr_tf.export.versions import version_path

    loaded = _load(run) if run else None
    folder = version_path(output, version)
    report = verify(folder, loaded and loaded.model, loaded and loaded.encoding)
    typer.echo(report)
    if not report.ok:
        raise ValueError(f"{folder}: {len(report.leaks)} leaks")
    check_signatures(folder)
    typer.echo(f"{folder}: answers its {replay(folder)} warm-up records")


def _export(loaded: Run, output: Path, version: int | None, **options: Any) -> None:
    from hgr_tf.export.exporter import export_for_serving

    folder = export_for_serving(
        loaded.model,
        output,
        version,
        encoding=loaded.encoding,
        shrinkage=loaded.taus,
        **options,
    )
    calibration = options["calibration"]
    how = ""
    if loaded.shrinkage and loaded.taus:
        how = f", shrunk ({loaded.shrinkage.in_words})"
    how += "" if calibration is None else f", calibrated ({calibration.method})"
    typer.echo(f"{folder}: verified and published{how}")


def _print_score_change(loaded: Run, table_dtype: TableDtype, seed: int) -> None:
    from hgr_tf.export.ranker import gives_logits, ranker_of
    from hgr_tf.export.saving.low_precision import score_change, table_bytes

    ranker = ranker_of(loaded.model)
    largest, mean = score_change(
        ranker,
        loaded.encoding,
        table_dtype,
        seed,
        from_logits=gives_logits(loaded.model),
    )
    typer.echo(
        f"{table_dtype} tables: {table_bytes(ranker, table_dtype):,} bytes instead of "
        f"{table_bytes(ranker):,}; probabilities change by at most {largest:.1e}, "
        f"{mean:.1e} on average, over random requests"
    )


def _check_onnx(loaded: Run, path: Path) -> None:
    from hgr_tf.export.saving.onnx import check_onnx

    check_onnx(loaded.model)
    if path.is_dir():
        raise ValueError(f"--onnx must be a file, got the folder {path}")


@contextlib.contextmanager
def _onnx_file(
    loaded: Run, path: Path, calibration: AnyCalibration | None
) -> Iterator[None]:
    """Writes an ONNX file first, and gives it its name after what goes with it."""
    from hgr_tf.export.saving.onnx import export_onnx

    unnamed = path.with_name(f".tmp-{path.name}")
    try:
        export_onnx(loaded.model, unnamed, calibration)
        yield
        unnamed.replace(path)
    finally:
        unnamed.unlink(missing_ok=True)
    typer.echo(f"{path}: written")


def _load(run: Path, seed: int = 0) -> Run:
    load_tensorflow()
    import tensorflow as tf

    from hgr_tf.training import load_run

    log.info("loading the run %s", run)
    tf.keras.utils.set_random_seed(seed)
    return load_run(run, shrunk=True)
