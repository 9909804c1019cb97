"""Calibration: the file of a run that says how its probabilities are calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from typing_extensions import Self

from hgr_tf.calibration.isotonic import Isotonic
from hgr_tf.calibration.per_slice import PerSlice
from hgr_tf.calibration.platt import Platt
from hgr_tf.features.strict_model import Strict, describe
from hgr_tf.result_files import write_text

FILE_NAME = "calibration.json"


class CalibrationError(ValueError):
    """A calibration that cannot be used; the message says why."""


class CalibrationFigures(Strict):
    """Figures of the rows that did not fit a calibration; None where undefined.

    Attributes:
        pcoc: Predicted over observed positives.
        ece: Expected calibration error.
        log_loss: LogLoss.
        gauc: AUC within users.
        auc: AUC.
        tied: Share of the rows whose probability another row has too.
    """

    pcoc: float | None
    ece: float | None
    log_loss: float | None
    gauc: float | None
    auc: float | None
    tied: float | None


class Calibration(Strict):
    """How a ranker's logits become calibrated ones, and how well that did.

    Attributes:
        format_version: Format version of the file.
        function: What is applied to the logits.
        split: Name of the split that it was fitted and measured on.
        seed: Seed of the halves.
        halves: Whether "users" or "rows" were dealt to the two halves.
        fitted_rows: Rows that fitted it.
        measured_rows: The other rows, which `before` and `after` are of.
        before: Figures of the uncalibrated probabilities.
        after: Figures of the calibrated ones.
        shrinkage: The tau by which the table of each feature was shrunk meanwhile, as
            `hgr-tf shrink` said; it fits no other tables.
    """

    format_version: Literal[1] = 1
    function: Annotated[Platt | Isotonic | PerSlice, Field(discriminator="method")]
    split: str
    seed: int
    halves: Literal["users", "rows"]
    fitted_rows: int
    measured_rows: int
    before: CalibrationFigures
    after: CalibrationFigures
    shrinkage: dict[str, float] = Field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs that it looks at beside the logits."""
        return self.function.inputs

    @property
    def method(self) -> str:
        """The method, for people."""
        return self.function.method

    def is_of(self, taus: Mapping[str, float]) -> bool:
        """Whether it was fitted with tables that were shrunk by these taus."""
        return self.shrinkage == taus

    def logits(self, logits: Any, inputs: Mapping[str, Any]) -> Any:
        """Calibrates logits, as a few TensorFlow ops.

        Args:
            logits: [B] float32 or float64.
            inputs: The encoded features [B] of at least `self.inputs`.

        Returns:
            [B] calibrated logits.
        """
        return self.function.logits(logits, inputs)

    def save(self, path: str | Path) -> None:
        """Writes the file, which appears whole or not at all."""
        write_text(Path(path), self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            CalibrationError: It holds something else.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except ValidationError as error:
            raise CalibrationError(f"{path}: {describe(error, cls)}") from error
