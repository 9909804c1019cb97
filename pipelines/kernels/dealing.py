"""Rows dealt to where they meet others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def dealt(table: pa.Table, targets: np.ndarray) -> list[tuple[int, pa.Table]]:
    """The rows of each target that gets any, in the order they came."""
    order = np.argsort(targets, kind="stable")
    table = table.take(pa.array(order))
    found, starts = np.unique(targets[order], return_index=True)
    ends = [*starts, len(order)][1:]
    return [
        (int(target), table.slice(start, end - start))
        for target, start, end in zip(found, starts, ends, strict=True)
    ]
