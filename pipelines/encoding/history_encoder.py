"""Histories become ids: each distinct event is encoded once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hgr_tf.features import Feature, FeatureEncoding, HistoryList
from hgr_tf.pipelines.encoding.feature_encoder import FeatureEncoder
from hgr_tf.pipelines.rows.fields import feature_field, values_of_texts


class HistoryEncoder:
    """Encodes the lists of one feature of a history.

    The ids are those of the feature that the list shares them with. Every event
    takes as many places as that feature may have values.
    """

    def __init__(self, feature: Feature, encoding: FeatureEncoding):
        self.feature = feature
        self._of = encoding.spec.feature(feature.transform.shares)
        self._encoder = FeatureEncoder(self._of, encoding)

    def __call__(self, column: pa.ListArray) -> pa.ListArray:
        """Encodes `[n]` lists of dictionary-encoded values to lists of int64."""
        events, width = column.flatten(), self.feature.transform.width
        ids = self._ids(events.dictionary)[events.indices.to_numpy()]
        offsets = column.offsets.to_numpy().astype(np.int64)
        offsets = ((offsets - offsets[0]) * width).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids.ravel()))

    def _ids(self, values: pa.Array) -> np.ndarray:
        """`[m, width]` ids of distinct values."""
        if not self._of.transform.is_multivalued:
            return self._encoder(values).to_numpy()[:, np.newaxis]
        lists = self._encoder(values_of_texts(values, feature_field(self._of)))
        ids = np.zeros((len(values), self.feature.transform.width), np.int64)
        lengths = np.diff(lists.offsets.to_numpy())
        row = np.repeat(np.arange(len(values)), lengths)
        place = np.arange(lengths.sum()) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        ids[row, place] = lists.flatten().to_numpy()
        return ids


def encoder_of(
    feature: Feature, encoding: FeatureEncoding
) -> FeatureEncoder | HistoryEncoder:
    """The encoder of any feature of the spec."""
    make = (
        HistoryEncoder if isinstance(feature.transform, HistoryList) else FeatureEncoder
    )
    return make(feature, encoding)
