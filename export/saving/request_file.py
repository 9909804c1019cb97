"""A request to copy: the JSON of one row, beside the model that takes it."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.runtime.requests import REQUEST_FILE
from hgr_tf.features import FeatureEncoding

_DRAWN = 64


def write_request(
    folder: str | Path, encoding: FeatureEncoding, names: Collection[str], seed: int = 0
) -> None:
    """Writes {"instances": [row]} for the REST API's `:predict`.

    The row holds a raw value of every feature, as REST needs, drawn from what the
    encoding has seen: a value that is not missing wherever one is drawn.

    Args:
        folder: A SavedModel with the signature `serving_default`.
        encoding: What it was exported with.
        names: The features it takes.
        seed: Seed of the drawn values.
    """
    drawn = SampleRequests(encoding, names, seed).raw(_DRAWN)
    row = {name: _as_json(_first_present(rows)) for name, rows in drawn.items()}
    text = json.dumps({"instances": [row]}, indent=2)
    path = Path(folder) / REQUEST_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def _first_present(rows: np.ndarray) -> np.ndarray:
    return next((row for row in rows if _is_present(row)), rows[0])


def _is_present(row: np.ndarray) -> bool:
    values = np.atleast_1d(row)
    if values.dtype.kind == "f":
        return not np.isnan(values).any()
    return all(map(bool, values.flat))  # "" and 0 are mostly missing values


def _as_json(value: np.ndarray) -> object:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return [_as_json(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
