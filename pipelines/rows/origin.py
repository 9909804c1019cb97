"""Where rows came from: what stays the same however they are joined and dealt."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources import Unit

ORIGIN = ("__file__", "__unit__", "__row__")
"""Columns of a row's file, its unit of that file, and its place in that unit."""


def is_needed(settings: Settings) -> bool:
    """Whether later steps ask where a row came from."""
    return bool(settings.spec.negatives) or settings.may_reject_later()


def with_origin(rows: pa.Table, unit: Unit, places: np.ndarray) -> pa.Table:
    """The rows of a unit with where each came from."""
    n = rows.num_rows
    origin = (np.full(n, unit.file_index), np.full(n, unit.place), places)
    for name, values in zip(ORIGIN, origin, strict=True):
        rows = rows.append_column(name, pa.array(values, pa.int64()))
    return rows


def origin_words(rows: pa.Table) -> np.ndarray:
    """`[n]` uint64: a hash of where each row came from."""
    words = np.zeros(rows.num_rows, np.uint64)
    for place, name in enumerate(ORIGIN):
        words = mixed(words ^ rows[name].to_numpy().astype(np.uint64), place)
    return words
