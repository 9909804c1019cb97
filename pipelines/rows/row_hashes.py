"""A hash of each row, by all the columns that the spec names."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import FeatureSpec
from hgr_tf.features.fingerprint import text_fingerprints
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.rows.fields import log_fields

_NULL = np.uint64(0x5851F42D4C957F2D)
_SEPARATOR = "\x1f"


def row_hashes(rows: pa.Table, spec: FeatureSpec) -> tuple[np.ndarray, np.ndarray]:
    """Two hashes `[n]` uint64 of each row, by different functions.

    Equal rows have equal hashes. Different ones have with a chance of 2^-64 a
    pair where only one text differs, whose fingerprint has 64 bits, and less
    elsewhere.
    """
    first = np.zeros(rows.num_rows, np.uint64)
    second = np.zeros(rows.num_rows, np.uint64)
    for place, field in enumerate(log_fields(spec)):
        words = _words(rows[field.name].combine_chunks())
        first = mixed(first ^ words, 2 * place)
        second = mixed(second + words, 2 * place + 1)
    return first, second


def _words(column: pa.Array) -> np.ndarray:
    if pa.types.is_list(column.type):
        texts = column.cast(pa.list_(pa.string()))
        column = pc.binary_join(texts, _SEPARATOR)
    valid = column.is_valid().to_numpy(False)
    if pa.types.is_string(column.type):
        words = text_fingerprints(pc.fill_null(column, ""))
    else:
        words = _bits(pc.fill_null(column, 0).to_numpy(False))
    return np.where(valid, words, _NULL)


def _bits(numbers: np.ndarray) -> np.ndarray:
    if numbers.dtype == np.float32:
        # Adding 0 turns -0.0, which equals 0.0, into it.
        return (numbers + np.float32(0)).view(np.uint32).astype(np.uint64)
    return numbers.view(np.uint64)
