"""HeadCalibrations: a calibration for each head of a ranker that has several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, ValidationError

from hgr_tf.calibration.calibration import Calibration, CalibrationError
from hgr_tf.features.strict_model import Strict, describe
from hgr_tf.result_files import write_text


class HeadCalibrations(Strict):
    """How the logits of a ranker with several heads become calibrated ones.

    Attributes:
        format_version: Format version of the file.
        heads: A calibration by the name of its head. Other heads stay as they are.
    """

    format_version: Literal[1] = 1
    heads: dict[str, Calibration] = Field(min_length=1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs that any of them looks at."""
        names = [name for one in self.heads.values() for name in one.inputs]
        return tuple(dict.fromkeys(names))

    @property
    def method(self) -> str:
        """The methods by head, for people."""
        methods = (f"{head}: {one.method}" for head, one in self.heads.items())
        return ", ".join(methods)

    def is_of(self, taus: Mapping[str, float]) -> bool:
        """Whether all were fitted with tables that were shrunk by these taus."""
        return all(one.is_of(taus) for one in self.heads.values())

    def logits(
        self, logits: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Calibrates logits [B] by head, as a few TensorFlow ops.

        Args:
            logits: [B] float32 or float64 for each head of the ranker.
            inputs: The encoded features [B] of at least `self.inputs`.

        Returns:
            [B] logits by head, in the order of `logits`.
        """
        return {
            head: self.heads[head].logits(values, inputs)
            if head in self.heads
            else values
            for head, values in logits.items()
        }

    def save(self, path: str | Path) -> None:
        """Writes the file, which appears whole or not at all."""
        write_text(Path(path), self.model_dump_json(indent=1) + "\n")


AnyCalibration: TypeAlias = Calibration | HeadCalibrations


def load_calibration(path: str | Path) -> AnyCalibration | None:
    """Reads the file of a calibration, of one head or of several.

    Returns:
        What was saved; None where there is no file.

    Raises:
        CalibrationError: The file holds something else.
    """
    path = Path(path)
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    if not _is_by_head(text):
        return Calibration.load(path)
    try:
        return HeadCalibrations.model_validate_json(text)
    except ValidationError as error:
        raise CalibrationError(
            f"{path}: {describe(error, HeadCalibrations)}"
        ) from error


def _is_by_head(text: str) -> bool:
    try:
        return "heads" in json.loads(text)
    except (ValueError, TypeError):  # told of by the file's own check
        return False
