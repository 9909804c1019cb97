"""Ids of whole columns: by vocabulary, by hash, and in lists of limited length."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.fingerprint import text_fingerprints


def vocabulary_ids(column: pa.Array, vocabulary: pa.Array, first: int) -> np.ndarray:
    """`[n]` int64 ids of values looked up in a vocabulary.

    Args:
        column: `[n]` texts or integers; nulls get the id 0.
        vocabulary: Values of the same type; they have the ids from `first` on.
        first: Past the buckets of unknown values, which have the ids from 1 on.
    """
    found = pc.index_in(column, value_set=vocabulary)
    ids = pc.fill_null(found, -1).to_numpy(False).astype(np.int64) + first
    unknown = ids < first
    if unknown.any():
        ids[unknown] = 0
        unknown &= column.is_valid().to_numpy(False)
        ids[unknown] = 1 + _buckets(column, unknown, first - 1)
    return ids


def hashed_ids(column: pa.Array, num_buckets: int) -> np.ndarray:
    """`[n]` int64: 1 + FarmHash64(text of the value) mod num_buckets; 0 for nulls."""
    ids = np.zeros(len(column), np.int64)
    valid = column.is_valid().to_numpy(False)
    ids[valid] = 1 + _buckets(column, valid, num_buckets)
    return ids


def as_lists(values: np.ndarray, lists: pa.ListArray, max_length: int) -> pa.Array:
    """Puts flat values back into lists, of which the first values stay.

    Args:
        values: A value for each element of `lists.flatten()`.
        lists: `[n]` lists.
        max_length: Values past this many are dropped from a list.
    """
    lengths = np.diff(lists.offsets.to_numpy())
    if (lengths > max_length).any():
        place = np.arange(len(values)) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        values = values[place < max_length]
        lengths = np.minimum(lengths, max_length)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _buckets(column: pa.Array, mask: np.ndarray, buckets: int) -> np.ndarray:
    if buckets == 1:
        return np.zeros(mask.sum(), np.int64)
    words = text_fingerprints(column.filter(pa.array(mask)))
    return (words % np.uint64(buckets)).astype(np.int64)
