"""The past of rows as columns beside them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureSpec, HistoryList
from hgr_tf.pipelines.histories.past import Lists, Past
from hgr_tf.pipelines.histories.timeline import value_name
from hgr_tf.pipelines.rows.fields import feature_field

AGE = "__age__/"
"""Start of the columns of the ages of histories, in units of the time column."""


class PastColumns:
    """Makes the columns of any of a partition's rows.

    An event's values are stored once for a partition: lists hold numbers of them.

    Args:
        timeline: `[n]` rows of the partition.
        past: Of these rows.
        spec: The spec.
    """

    def __init__(self, timeline: pa.Table, past: Past, spec: FeatureSpec):
        self._past = past
        self._features = [f for f in spec.features() if f.is_past]
        self._values = {}
        for feature in self._features:
            transform = feature.transform
            if isinstance(transform, HistoryList):
                values = timeline[value_name(transform.shares)].combine_chunks()
                events = values.take(pa.array(past.histories[transform.history].rows))
                self._values[feature.name] = events.dictionary_encode("encode")

    def of(self, rows: np.ndarray) -> dict[str, pa.Array]:
        """Columns of the rows at the given positions, by name."""
        columns, places = {}, {}
        for name, lists in self._past.histories.items():
            columns[AGE + name] = pa.array(lists.age[rows])
        for feature in self._features:
            transform, column = feature.transform, feature_field(feature).name
            if isinstance(transform, HistoryList):
                key = transform.history
                if key not in places:
                    lists = self._past.histories[key]
                    places[key] = _places(lists, rows, transform.newest_first)
                columns[column] = self._list(feature.name, transform, *places[key])
            elif feature.name in self._past.numbers:
                columns[column] = pa.array(self._past.numbers[feature.name][rows])
        return columns

    def _list(
        self,
        name: str,
        transform: HistoryList,
        offsets: np.ndarray,
        places: np.ndarray,
    ) -> pa.Array:
        events = self._values[name]
        codes = events.indices.to_numpy()[places]
        values = events.dictionary.cast(transform.event_type)
        listed = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), values)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), listed)


def _places(
    lists: Lists, rows: np.ndarray, newest_first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the rows' lists, and the events in them."""
    start, end = lists.start[rows], lists.end[rows]
    lengths = end - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    if newest_first:
        return offsets, np.repeat(end - 1, lengths) - within
    return offsets, np.repeat(start, lengths) + within
