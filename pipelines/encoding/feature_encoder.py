"""Feature columns become what the model sees: ids or float32 numbers."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import Bucketized, Feature, FeatureEncoding, Hashed, Numeric
from hgr_tf.pipelines.kernels.fingerprint import text_fingerprints


class FeatureEncoder:
    """Encodes columns of one feature under a `FeatureEncoding`."""

    def __init__(self, feature: Feature, encoding: FeatureEncoding):
        self.feature = feature
        self._encoding = encoding

    def __call__(self, column: pa.Array) -> pa.Array:
        """Encodes `[n]` typed values: int64, lists of int64, or float32."""
        transform = self.feature.transform
        if isinstance(transform, Numeric):
            return pa.array(self._numbers(column))
        if isinstance(transform, Bucketized):
            return pa.array(self._buckets(column))
        if isinstance(transform, Hashed):
            return pa.array(self._hashes(column))
        if transform.is_multivalued:
            return self._lists(column)
        return pa.array(self._ids(column))

    @cached_property
    def _vocabulary(self) -> pa.Array:
        texts = pa.array(self._encoding.vocabularies[self.feature.name], pa.string())
        return texts.cast(_arrow_type(self.feature.transform.dtype))

    def _ids(self, column: pa.Array) -> np.ndarray:
        first = self._encoding.first_vocabulary_id(self.feature.name)
        found = pc.index_in(column, value_set=self._vocabulary)
        ids = pc.fill_null(found, -1).to_numpy(False).astype(np.int64) + first
        unknown = ids < first
        if unknown.any():
            ids[unknown] = 0
            unknown &= column.is_valid().to_numpy(False)
            ids[unknown] = 1 + self._bucket(column, unknown, first - 1)
        return ids

    def _hashes(self, column: pa.Array) -> np.ndarray:
        ids = np.zeros(len(column), np.int64)
        valid = column.is_valid().to_numpy(False)
        ids[valid] = 1 + self._bucket(column, valid, self.feature.transform.num_buckets)
        return ids

    def _bucket(self, column: pa.Array, mask: np.ndarray, buckets: int) -> np.ndarray:
        if buckets == 1:
            return np.zeros(mask.sum(), np.int64)
        words = text_fingerprints(column.filter(pa.array(mask)))
        return (words % np.uint64(buckets)).astype(np.int64)

    def _lists(self, column: pa.ListArray) -> pa.Array:
        ids = self._ids(column.flatten())
        lengths = np.diff(column.offsets.to_numpy())
        longest = self.feature.transform.max_length
        if (lengths > longest).any():
            place = np.arange(len(ids)) - np.repeat(
                np.cumsum(lengths) - lengths, lengths
            )
            ids = ids[place < longest]
            lengths = np.minimum(lengths, longest)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))

    def _buckets(self, column: pa.Array) -> np.ndarray:
        boundaries = self._encoding.float32_boundaries(self.feature.name)
        values = pc.fill_null(column, 0).to_numpy(False)
        ids = 1 + np.searchsorted(boundaries, values, side="right").astype(np.int64)
        ids[column.is_null().to_numpy(False)] = 0
        return ids

    def _numbers(self, column: pa.Array) -> np.ndarray:
        x = transformed_numbers(column, self.feature.transform)
        if self.feature.transform.standardize:
            mean, std = self._encoding.moments[self.feature.name]
            x = (x - mean) / std
        return x.astype(np.float32)


def transformed_numbers(column: pa.Array, transform: Numeric) -> np.ndarray:
    """`[n]` float64: defaults filled in, then log1p; not yet standardized."""
    valid = column.is_valid().to_numpy(False)
    x = pc.fill_null(column, 0).to_numpy(False).astype(np.float64)
    x = np.where(valid, x, transform.default)
    return np.sign(x) * np.log1p(np.abs(x)) if transform.log1p else x


def _arrow_type(dtype: str) -> pa.DataType:
    return pa.int64() if dtype == "int64" else pa.string()
