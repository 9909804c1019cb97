"""ExportOptions: how a version was exported, kept beside it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from hgr_tf.calibration.calibration import FILE_NAME as CALIBRATION
from hgr_tf.calibration.heads import AnyCalibration, load_calibration
from hgr_tf.export.table_dtype import TableDtype
from hgr_tf.features import FeatureSpec
from hgr_tf.registry import Registry

SIGNATURES = Registry("hgr_tf.export.signatures")
"""Every signature there is."""

FILE = Path("assets.extra") / "export.json"
CALIBRATION_FILE = Path("assets.extra") / CALIBRATION
"""The calibration that the model holds, if it holds one."""
SPEC_FILE = Path("assets.extra") / "spec.yaml"
"""The feature spec, with the features that the model takes; for tools that make
requests of log rows. TensorFlow Serving ignores it."""


@dataclass(frozen=True)
class ExportOptions:
    """How a ranker is written.

    Attributes:
        signatures: Which of `SIGNATURES`.
        with_logits: Whether logits are given beside the probabilities.
        table_dtype: What embedding tables are stored as; None for float32.
        from_logits: Whether the ranker gives logits or probabilities.
        calibration: What the logits go through, in a file of its own; None for nothing.
        shrinkage: The tau by which the table of each feature was shrunk before, for
            the record.
    """

    signatures: tuple[str, ...] = SIGNATURES.names()
    with_logits: bool = False
    table_dtype: TableDtype | None = None
    from_logits: bool = True
    calibration: AnyCalibration | None = None
    shrinkage: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = SIGNATURES.names()
        unknown = sorted(set(self.signatures) - set(known))
        if unknown or not self.signatures:
            raise ValueError(
                f"`signatures` must be some of {known}, got {self.signatures}"
            )
        if self.table_dtype not in (None, *get_args(TableDtype)):
            raise ValueError(
                "`table_dtype` must be 'bfloat16', 'float16', 'int8' or None, "
                f"got {self.table_dtype!r}"
            )

    def save(self, folder: str | Path) -> None:
        """Writes the options into a SavedModel's assets.extra."""
        path = Path(folder) / FILE
        path.parent.mkdir(exist_ok=True)
        options = asdict(replace(self, calibration=None))
        del options["calibration"]
        if not self.shrinkage:
            del options["shrinkage"]
        path.write_text(json.dumps(options) + "\n", encoding="utf-8")
        if self.calibration is not None:
            self.calibration.save(Path(folder) / CALIBRATION_FILE)

    @classmethod
    def load(cls, folder: str | Path) -> ExportOptions:
        """Reads what `save` wrote; the defaults where there is none.

        Raises:
            ValueError: The file holds options that this version does not know.
        """
        path = Path(folder) / FILE
        if not path.exists():
            return cls()
        options = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(cls)} - {"calibration"}
        unknown = sorted(set(options) - known)
        if unknown:
            raise ValueError(
                f"{path}: must hold options among {sorted(known)}, got {unknown}: "
                "was it exported by a later version of hgr_tf?"
            )
        options["signatures"] = tuple(options["signatures"])
        calibration = load_calibration(Path(folder) / CALIBRATION_FILE)
        return cls(**options, calibration=calibration)


def save_spec(spec: FeatureSpec, names: Collection[str], folder: str | Path) -> None:
    """Writes the part of a spec that a model takes into its assets.extra.

    Features of columns that only training knows stay in it, as labels do: they say
    which columns of a log no request needs.
    """
    training_only = {
        name: constant
        for name, constant in spec.training_only.items()
        if not spec.feature(name).transform.parts
    }
    kept = {*names, *training_only}
    sections: dict[str, Any] = {
        owner: {k: v for k, v in getattr(spec, owner).items() if k in kept}
        for owner in ("user", "item", "context")
    }
    sections["training_only"] = training_only
    text = spec.model_copy(update=sections).to_yaml()
    (Path(folder) / SPEC_FILE).write_text(text, encoding="utf-8")


def load_spec(folder: str | Path) -> FeatureSpec:
    """Reads what `save_spec` wrote.

    Raises:
        ValueError: The version was exported without a feature encoding.
    """
    path = Path(folder) / SPEC_FILE
    if not path.exists():
        raise ValueError(f"{folder}: exported without an encoding: takes no raw rows")
    return FeatureSpec.load(path)
