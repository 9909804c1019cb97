"""Histories in the rows of a file as raw tensors of one length."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import Feature, HistoryList
from hgr_tf.pipelines.rows.casting import Cast, cast
from hgr_tf.pipelines.rows.fields import Field, as_texts

MISSING_INT = np.iinfo(np.int64).min
NUMPY = {"string": object, "int64": np.int64, "float32": np.float32}
MISSING = {"string": "", "int64": int(MISSING_INT), "float32": float("nan")}

DELIMITER = ","
"""Separates the events of a history that is one text, as in CSV."""


def histories(array: pa.Array, feature: Feature, missing: tuple[str, ...]) -> Cast:
    """Reads a raw column as lists of the values of events.

    Args:
        array: Lists, or texts with `DELIMITER` between values.
        feature: Of a history.
        missing: Texts that mean "missing"; such an event keeps its place.

    Returns:
        Lists of texts where the feature is multi-valued, else of its dtype.
    """
    transform = feature.transform
    if pa.types.is_null(array.type):
        array = array.cast(pa.string())
    if not pa.types.is_nested(array.type):
        array = pc.split_pattern(array.cast(pa.string()), DELIMITER)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(False)
    events = array.flatten()
    if transform.of.is_multivalued and pa.types.is_nested(events.type):
        events = as_texts(events, transform.of.delimiter)
    dtype = "string" if transform.of.is_multivalued else transform.dtype
    flat = cast(events, Field(feature.column, dtype), missing)
    parents = np.repeat(np.arange(len(array)), lengths)
    bad = []
    for reason, mask in flat.bad:
        rows = np.zeros(len(array), bool)
        rows[parents[mask]] = True
        bad.append((reason, rows))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return Cast(pa.ListArray.from_arrays(pa.array(offsets), flat.values), bad)


def dense(values: pa.ListArray, transform: HistoryList) -> np.ndarray:
    """`[rows, length]` raw values of the newest events, padding beside the oldest."""
    dtype = "string" if transform.of.is_multivalued else transform.dtype
    missing = MISSING[dtype]
    filled = np.full((len(values), transform.length), missing, NUMPY[dtype])
    for row, events in enumerate(values.to_pylist()):
        events = [missing if event is None else event for event in events]
        if transform.newest_first:
            events = events[: transform.length]
            filled[row, : len(events)] = events
        elif events:
            events = events[-transform.length :]
            filled[row, -len(events) :] = events
    return filled
