"""Results as files: plain JSON, and files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A structure as JSON has it: NaN becomes None, numpy's numbers Python's."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def defined_or_nan(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics as they were before `plain`: None becomes NaN again."""
    undefined = float("nan")
    return {k: undefined if value is None else value for k, value in metrics.items()}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in parts."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False
) -> None:
    """Writes an .npz file that appears whole or not at all."""
    temporary = path.with_name(f".tmp-{path.name}")
    save = np.savez_compressed if compress else np.savez
    save(temporary, **arrays)
    os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Writes a file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
