"""Run: a finished training run, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from hgr_tf.calibration.heads import AnyCalibration, load_calibration
from hgr_tf.features import FeatureEncoding
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.config import RunConfig
from hgr_tf.training.run_folder import RunError, RunFolder
from hgr_tf.training.run_metrics import run_metrics


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
    """

    path: Path
    config: RunConfig
    encoding: FeatureEncoding
    model: tf.keras.Model
    metrics: dict[str, float]
    calibration: AnyCalibration | None = None

    def weights_digest(self) -> str:
        """SHA-256 of the file of its weights."""
        return RunFolder(self.path).weights_digest()


def load_run(path: str | Path) -> Run:
    """Loads a run folder.

    Raises:
        RunError: The folder holds no run, one that is not finished, or one of the other
            generation of Keras.
        CalibrationError: Its calibration.json holds something else.
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
    calibration = load_calibration(folder.calibration)
    return Run(folder.path, config, encoding, model, folder.metrics(), calibration)
