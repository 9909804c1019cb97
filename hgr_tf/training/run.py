"""Run: a finished training run, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from hgr_tf.calibration.calibration import CalibrationError
from hgr_tf.calibration.heads import AnyCalibration, load_calibration
from hgr_tf.features import FeatureEncoding
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.config import RunConfig
from hgr_tf.training.run_folder import RunError, RunFolder
from hgr_tf.training.run_metrics import run_metrics
from hgr_tf.training.shrinkage import FILE_NAME, Shrinkage, shrink_tables


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        path: Its folder.
        config: What it was trained by.
        encoding: Encoding of the features it was trained on.
        model: The trained `HierarchicalGroupwiseRanker`, compiled for
            `evaluate`; `model.ranker` is the ranker alone.
        metrics: Metrics of the validation split.
        calibration: What `hgr-tf calibrate` fitted to the model, or None.
        shrinkage: How `hgr-tf shrink` shrinks tables, or None. The model's are shrunk
            where it was loaded so.
    """

    path: Path
    config: RunConfig
    encoding: FeatureEncoding
    model: tf.keras.Model
    metrics: dict[str, float]
    calibration: AnyCalibration | None = None
    shrinkage: Shrinkage | None = None

    @property
    def taus(self) -> dict[str, float]:
        """By how much `hgr-tf shrink` shrinks the table of each feature."""
        return self.shrinkage.taus if self.shrinkage else {}

    def weights_digest(self) -> str:
        """SHA-256 of the file of its weights."""
        return RunFolder(self.path).weights_digest()


def load_run(path: str | Path, *, shrunk: bool = False) -> Run:
    """Loads a run folder.

    Args:
        path: The folder.
        shrunk: Whether tables are shrunk as `hgr-tf shrink` said, which is how the run
            is evaluated, calibrated and exported; else they are as they were trained.

    Raises:
        RunError: The folder holds no run, one that is not finished, or one of the other
            generation of Keras.
        CalibrationError: Its calibration.json holds something else, or was fitted with
            tables that were shrunk otherwise.
        ShrinkageError: Its shrinkage.json does, or the counts that it needs are lost.
    """
    folder = RunFolder(path)
    config = folder.config()
    if not folder.is_finished:
        raise RunError(f"{path}: not finished: `hgr-tf train` resumes it")
    folder.check_environment()
    encoding = FeatureEncoding.load(folder.encoding)
    model = build_model(config, encoding)
    model.load_weights(str(folder.weights))
    model.compile(metrics=run_metrics(config.metrics))
    run = Run(
        folder.path,
        config,
        encoding,
        model,
        folder.metrics(),
        load_calibration(folder.calibration),
        Shrinkage.load(folder.path),
    )
    if run.calibration and not run.calibration.is_of(run.taus):
        raise CalibrationError(
            f"{folder.calibration}: fitted with tables that were shrunk otherwise than "
            f"{FILE_NAME} says: remove it, and run `hgr-tf calibrate` anew"
        )
    if shrunk:
        shrink_tables(model.ranker, encoding, folder.path, run.taus)
    return run
