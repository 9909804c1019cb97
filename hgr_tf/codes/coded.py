"""Coded: ids with their codes, a part of a table at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa


class Coded(NamedTuple):
    """Some users or items with their codes.

    Attributes:
        ids: Raw ids, [n], text or int64.
        keys: int64 [n]: what a prepared row has in place of the raw id.
        codes: int32 [n, levels].
        distances: float32 [n]: Euclidean distance of the embedding to the sum of
            the codewords, which stands for it.
    """

    ids: pa.Array
    keys: np.ndarray
    codes: np.ndarray
    distances: np.ndarray
