"""Predictor: scores raw rows with an exported model in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hgr_tf.export.runtime.outputs import Scores, joined
from hgr_tf.export.runtime.requests import DEFAULT_SIGNATURE
from hgr_tf.export.runtime.session import ServingSession

BATCH_ROWS = 4096


class Predictor:
    """A version of an exported model, loaded without Keras.

    Args:
        folder: A version.
    """

    def __init__(self, folder: str | Path):
        self._session = ServingSession(folder)

    def probabilities(self, inputs: Mapping[str, np.ndarray]) -> Scores:
        """Scores raw tensors [rows] by feature name.

        Returns:
            [rows] float32; of a ranker with several heads {head: [rows]}.
        """
        rows = len(next(iter(inputs.values())))
        batches = [
            self._session.call(
                DEFAULT_SIGNATURE,
                {k: v[low : low + BATCH_ROWS] for k, v in inputs.items()},
            )
            for low in range(0, rows, BATCH_ROWS)
        ]
        return joined(batches, self._session.signatures[DEFAULT_SIGNATURE].outputs)
