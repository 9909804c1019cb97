"""HistoryList: how the events of a history become ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.kind import MISSING, Arrays, Dtype, Form, Kind, Learned
from hgr_tf.features.transform import Transform

SEPARATOR = "\x1f"
"""Lies between the values of an event whose feature is multi-valued."""

_NUMPY = {"string": object, "int64": np.int64, "float32": np.float32}
_TYPES = {"string": pa.string(), "int64": pa.int64(), "float32": pa.float32()}


class HistoryList(Kind):
    """A list of one feature's values in the events of a history.

    The ids are those of the feature `shares`, and so is the embedding table. An
    event takes `width` places, so that place i * width belongs to the i-th event
    in every list of a history; 0 is padding or missing. Not written in specs: the
    `history` section makes them.

    Attributes:
        history: Name of the history.
        shares: The feature whose values are listed.
        of: Its kind.
        length: Events kept, the newest ones.
        newest_first: Whether the list starts at the newest event. Padding lies at
            the end of the oldest.
    """

    type: Literal["history"] = "history"
    history: str
    shares: str
    of: Transform
    length: int
    newest_first: bool

    @property
    def id_source(self) -> str:
        """The feature that is listed."""
        return self.shares

    @property
    def dtype(self) -> Dtype:
        """Type of the raw values; a list of values is one text."""
        return "string" if self.of.is_multivalued else self.of.dtype

    @property
    def width(self) -> int:
        """Places of an event: more than 1 if its feature is multi-valued."""
        return self.of.forms[0].size or 1

    @property
    def max_length(self) -> int:
        """Places of the whole list."""
        return self.length * self.width

    @property
    def forms(self) -> tuple[Form, ...]:
        """Ids, padded with 0 beside the oldest event."""
        return (Form("", "int64", self.max_length, padded=True),)

    @property
    def event_type(self) -> pa.DataType:
        """Arrow type of an event's value in a column."""
        return _TYPES[self.dtype]

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Counts events; their values are another feature's."""
        lengths = np.diff(column.offsets.to_numpy())
        return ColumnSummary(
            rows=int(hits.sum()),
            missing=int(hits[lengths == 0].sum()),
            values=int((lengths * hits).sum()),
        )

    def lacks(self, learned: Learned) -> str | None:
        """What the shared feature lacks."""
        return self.of.lacks(learned)

    def num_ids(self, learned: Learned) -> int | None:
        """As many as the shared feature has."""
        return self.of.num_ids(learned)

    @property
    def id_space(self) -> tuple | None:
        """That of the shared feature."""
        return self.of.id_space

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Encodes lists of dictionary-encoded values, each distinct one once."""
        encode = self.of.encoder(learned)

        def of_lists(column: pa.ListArray) -> Arrays:
            events = column.flatten()
            ids = self._ids(encode, events.dictionary)[events.indices.to_numpy()]
            lengths = np.diff(column.offsets.to_numpy())
            if not self.newest_first:
                ids, lengths = self._padded(ids, lengths)
            offsets = np.concatenate([[0], np.cumsum(lengths * self.width)])
            return (
                pa.ListArray.from_arrays(
                    pa.array(offsets, pa.int32()), pa.array(ids.ravel())
                ),
            )

        return of_lists

    def _ids(
        self, encode: Callable[[pa.Array], Arrays], values: pa.Array
    ) -> np.ndarray:
        """`[m, width]` ids of distinct values."""
        if not self.of.is_multivalued:
            return encode(values)[0].to_numpy()[:, np.newaxis]
        lists = encode(lists_of_texts(values, _TYPES[self.of.dtype]))[0]
        ids = np.zeros((len(values), self.width), np.int64)
        row, place = _places(np.diff(lists.offsets.to_numpy()))
        ids[row, place] = lists.flatten().to_numpy()
        return ids

    def _padded(
        self, ids: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ids of whole lists, whose oldest event comes first, after the padding."""
        whole = np.zeros((len(lengths), self.length, self.width), np.int64)
        row, place = _places(lengths)
        whole[row, place + (self.length - lengths)[row]] = ids
        return whole, np.full(len(lengths), self.length)

    # What a request holds: [length] raw values; a tf.Example any number of them.

    @property
    def raw_dtype(self) -> Dtype:
        """Type of the values of events."""
        return self.of.raw_dtype

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Events; servers put requests of one shape together."""
        return (self.length,)

    def to_raw(self, values: pa.Array, missing: tuple[str, ...]) -> np.ndarray:
        """`[n, length]` raw values of the newest events."""
        filled = np.full(
            (len(values), self.length), MISSING[self.dtype], _NUMPY[self.dtype]
        )
        for row, events in enumerate(values.to_pylist()):
            events = [MISSING[self.dtype] if e is None else e for e in events or ()]
            if self.newest_first:
                events = events[: self.length]
                filled[row, : len(events)] = events
            elif events:
                events = events[-self.length :]
                filled[row, -len(events) :] = events
        return filled

    def to_example(self, value: Any) -> list:
        """The values of the events; a missing one keeps its place."""
        return list(value)

    def sample(
        self, random: np.random.Generator, shape: tuple[int, ...], learned: Learned
    ) -> np.ndarray:
        """Draws whole histories."""
        return self.of.sample(random, (*shape, self.length), learned)


def texts_of_lists(values: pa.Array, separator: str = SEPARATOR) -> pa.Array:
    """Lists as one text each, null where empty; other values as they are."""
    if not pa.types.is_list(values.type):
        return values
    texts = pc.binary_join(values.cast(pa.list_(pa.string())), separator)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def lists_of_texts(texts: pa.Array, type_: pa.DataType) -> pa.ListArray:
    """The lists that `texts_of_lists` made texts of."""
    lists = pc.split_pattern(pc.fill_null(texts, ""), SEPARATOR)
    values, lengths = lists.flatten(), lists.value_lengths().to_numpy(False)
    missing = texts.is_null().to_numpy(False)
    if missing.any():  # the empty text splits to one empty value
        values = values.filter(pa.array(np.repeat(~missing, lengths)))
        lengths = np.where(missing, 0, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.cast(type_))


def _places(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and place in its list of each element of lists."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return row, np.arange(lengths.sum()) - np.repeat(
        np.cumsum(lengths) - lengths, lengths
    )
