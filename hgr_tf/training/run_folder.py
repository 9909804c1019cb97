"""RunFolder: the files of a training run, and how it is resumed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from hgr_tf.calibration.calibration import FILE_NAME as CALIBRATION
from hgr_tf.data import PreparedData
from hgr_tf.features import FeatureEncoding
from hgr_tf.result_files import defined_or_nan, plain, sha256_of, write_text
from hgr_tf.training.config import RunConfig
from hgr_tf.training.environment import environment, mismatch
from hgr_tf.training.yaml_config import YamlConfig


class RunError(ValueError):
    """A run folder that cannot be used; the message says why."""


class RunFolder:
    """Where a run keeps its files.

        config.yaml         the whole config, defaults included
        environment.json    the versions that it was trained with
        encoding/           the feature encoding of its data
        data.json           the SHA-256 of the manifest of its data
        tensorboard/        logs
        history.json        a list with the metrics of each epoch
        checkpoint/         state of an unfinished run, the last few
        faulty_batch.npz    the rows at which the loss stopped being finite, if it did
        model.weights.h5    the weights to use
        optimizer.npz       the optimizer, if it is kept
        metrics.json        of the validation split, with those weights
        calibration.json    of those weights, if `hgr-tf calibrate` made one
        shrinkage.json      of their tables, if `hgr-tf shrink` made one, with the
                            counts of ids that it needs in shrinkage_counts.npz
        FINISHED            written last

    Every file appears whole or not at all.

    Args:
        path: The folder.
        config_class: What config.yaml holds; a ranking run's config by default.
    """

    def __init__(self, path: str | Path, config_class: type[YamlConfig] = RunConfig):
        self.path = Path(path)
        self._config_class = config_class

    @property
    def is_finished(self) -> bool:
        """Whether training ran to its end."""
        return (self.path / "FINISHED").exists()

    @property
    def weights(self) -> Path:
        """File of the weights to use."""
        return self.path / "model.weights.h5"

    @property
    def calibration(self) -> Path:
        """File of the calibration, which there need not be."""
        return self.path / CALIBRATION

    @property
    def encoding(self) -> Path:
        """Folder of the feature encoding."""
        return self.path / "encoding"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints of an unfinished run."""
        return self.path / "checkpoint"

    @property
    def faulty_batch(self) -> Path:
        """File of the batch at which the loss stopped being finite."""
        return self.path / "faulty_batch.npz"

    @property
    def optimizer(self) -> Path:
        """File of the optimizer at the end, which a later run may go on with."""
        return self.path / "optimizer.npz"

    @property
    def tensorboard(self) -> Path:
        """Folder of the TensorBoard logs."""
        return self.path / "tensorboard"

    def open(self, config: YamlConfig, overwrite: bool = False) -> None:
        """Makes the folder, or checks that it holds a run of this config.

        Args:
            config: Config of the run about to start.
            overwrite: Remove a run that is there, finished or not.

        Raises:
            RunError: The folder holds something else, another run, or a run that
                another generation of Keras began.
        """
        if self.path.exists() and any(self.path.iterdir()):
            if not (self.path / "config.yaml").exists():
                raise RunError(f"{self.path}: not empty, and not a training run")
            if overwrite:
                shutil.rmtree(self.path)
            elif self.config() != config:
                raise RunError(
                    f"{self.path}: holds a run of another config; "
                    "choose another --output or say --overwrite"
                )
            else:
                self.check_environment()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write("environment.json", _json(environment()))
        self._write("config.yaml", config.to_yaml())

    def check_environment(self) -> None:
        """Checks that this process has the Keras that the run was trained with.

        Raises:
            RunError: It has the other generation.
        """
        reason = mismatch(self._read("environment.json", default={}))
        if reason:
            raise RunError(f"{self.path}: {reason}")

    def keep_encoding(self, data: PreparedData) -> None:
        """Copies the data's encoding, or checks it against the one kept.

        The digest of the data's manifest is kept with it.

        Raises:
            ManifestError: The data was prepared anew since the run began.
        """
        if (self.encoding / "encoding.json").exists():
            data.check_encoding(FeatureEncoding.load(self.encoding))
        else:
            told = {"manifest_sha256": data.manifest_digest()}
            self._write("data.json", _json(told))
            data.encoding.save(self.encoding)

    def data_digest(self) -> str | None:
        """SHA-256 of the manifest of the data; None of a run of earlier versions."""
        path = self.path / "data.json"
        if not path.exists():
            return None
        return str(self._read("data.json")["manifest_sha256"])

    def config(self) -> Any:
        """The run's config.

        Raises:
            RunError: The folder holds no run.
        """
        path = self.path / "config.yaml"
        if not path.exists():
            raise RunError(f"{self.path}: no config.yaml: not a training run")
        return self._config_class.load(path)

    def history(self) -> list[dict[str, float]]:
        """The metrics of each epoch so far."""
        return [
            defined_or_nan(epoch) for epoch in self._read("history.json", default=[])
        ]

    def metrics(self) -> dict[str, float]:
        """The metrics of the validation split at the end."""
        return defined_or_nan(self._read("metrics.json"))

    def write_history(self, history: list[dict[str, float]]) -> None:
        """Replaces the history."""
        self._write("history.json", _json(history))

    def save_weights(self, model: tf.keras.Model) -> None:
        """Replaces the weights to use."""
        temporary = self.path / ".new.weights.h5"
        model.save_weights(str(temporary))
        os.replace(temporary, self.weights)

    def weights_digest(self) -> str:
        """SHA-256 of the weights to use."""
        return sha256_of(self.weights)

    def finish(self, metrics: dict[str, float]) -> None:
        """Writes the metrics, drops the checkpoint and marks the end."""
        self._write("metrics.json", _json(metrics))
        self._write("FINISHED", "")
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.faulty_batch.unlink(missing_ok=True)

    def _read(self, name: str, default: Any = None) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if default is None:
                raise RunError(f"{self.path}: no {name}: not a finished run") from None
            return default

    def _write(self, name: str, text: str) -> None:
        write_text(self.path / name, text)


def _json(value: object) -> str:
    return json.dumps(plain(value), indent=1, allow_nan=False) + "\n"
