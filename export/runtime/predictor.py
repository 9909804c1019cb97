"""Predictor: scores raw rows with an exported model in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hgr_tf.export.runtime.session import ServingSession

BATCH_ROWS = 4096


class Predictor:
    """A version of an exported model, loaded without Keras.

    Args:
        folder: A version.
    """

    def __init__(self, folder: str | Path):
        self._session = ServingSession(folder)

    def probabilities(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores raw tensors [rows] by feature name; [rows] float32."""
        rows = len(next(iter(inputs.values())))
        parts = [np.zeros(0, np.float32)]
        for low in range(0, rows, BATCH_ROWS):
            part = {k: v[low : low + BATCH_ROWS] for k, v in inputs.items()}
            parts.append(self._session.call("serving_default", part)["probabilities"])
        return np.concatenate(parts)
