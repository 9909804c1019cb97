"""Histories in the rows of a file as lists of raw values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.history_list import HistoryList, texts_of_lists
from hgr_tf.features.text_list import TextList
from hgr_tf.pipelines.rows.casting import Cast, cast
from hgr_tf.pipelines.rows.fields import Field

DELIMITER = ","
"""Separates the events of a history that is one text, as in CSV."""


def histories(
    array: pa.Array, column: str, kind: HistoryList, missing: tuple[str, ...]
) -> Cast:
    """Reads a raw column as lists of the values of events.

    Args:
        array: Lists, or texts with `DELIMITER` between values.
        column: Name of the column.
        kind: How its events become ids.
        missing: Texts that mean "missing"; such an event keeps its place.

    Returns:
        Lists of texts where the feature is multi-valued, else of its dtype.
    """
    if pa.types.is_null(array.type):
        array = array.cast(pa.string())
    if not pa.types.is_nested(array.type):
        array = pc.split_pattern(array.cast(pa.string()), DELIMITER)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(False)
    events = array.flatten()
    if isinstance(kind.of, TextList) and pa.types.is_nested(events.type):
        events = texts_of_lists(events, kind.of.delimiter)
    flat = cast(events, Field(column, kind.dtype), missing)
    parents = np.repeat(np.arange(len(array)), lengths)
    bad = []
    for reason, mask in flat.bad:
        rows = np.zeros(len(array), bool)
        rows[parents[mask]] = True
        bad.append((reason, rows))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return Cast(pa.ListArray.from_arrays(pa.array(offsets), flat.values), bad)
