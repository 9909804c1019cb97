"""RowStore: encoded rows in memory, packed so that a row is gathered at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hgr_tf.features import LABEL, USER, WEIGHT, FeatureEncoding

Columns = dict[str, np.ndarray]
"""Decoded columns by name: `[n]`, or `[n, max_length]` padded with 0 for lists."""

_BLOCK = 1024


@dataclass(frozen=True)
class RowLayout:
    """Which column of a data set lies in which array.

    Attributes:
        ids: Names of the features with one id per row.
        lists: Padded length of each feature with several ids per row.
        floats: Names of the numeric columns; label and weight come last.
        id_type: Narrowest integer type that holds the ids of every feature.
    """

    ids: tuple[str, ...]
    lists: dict[str, int] = field(hash=False)
    floats: tuple[str, ...]
    id_type: type = np.int32

    @classmethod
    def of(cls, encoding: FeatureEncoding, has_weight: bool) -> RowLayout:
        """The layout of data of this encoding.

        Args:
            encoding: Names and kinds of the features.
            has_weight: Whether rows carry a weight.
        """
        ids, lists, floats, most = [], {}, [], 0
        for feature in encoding.spec.features():
            transform = feature.transform
            if not transform.is_categorical:
                floats.append(feature.name)
                continue
            most = max(most, encoding.num_ids(feature.name))
            if transform.is_multivalued:
                lists[feature.name] = transform.max_length
            else:
                ids.append(feature.name)
        floats += [LABEL, WEIGHT] if has_weight else [LABEL]
        fits = most <= np.iinfo(np.int32).max
        id_type = np.int32 if fits else np.int64
        return cls(tuple(ids), lists, tuple(floats), id_type)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return (*self.ids, *self.lists, *self.floats, USER)

    @property
    def row_bytes(self) -> int:
        """Bytes that one row takes in memory."""
        ids = len(self.ids) + sum(self.lists.values())
        return ids * np.dtype(self.id_type).itemsize + 4 * len(self.floats) + 8


class RowStore:
    """Rows in a few arrays: one for all ids, one for all floats, one for each list.

    Args:
        layout: Which column lies where.
        rows: Number of rows that there is room for.
    """

    def __init__(self, layout: RowLayout, rows: int):
        self.layout = layout
        self._ids = np.empty((rows, len(layout.ids)), layout.id_type)
        self._floats = np.empty((rows, len(layout.floats)), np.float32)
        self._users = np.empty(rows, np.int64)
        self._lists = {
            name: np.empty((rows, length), layout.id_type)
            for name, length in layout.lists.items()
        }

    def fill(self, start: int, columns: Columns) -> None:
        """Writes decoded columns into the rows from `start` on."""
        stop = start + len(columns[USER])
        _interleave(self._ids[start:stop], [columns[n] for n in self.layout.ids])
        _interleave(self._floats[start:stop], [columns[n] for n in self.layout.floats])
        for name, array in self._lists.items():
            array[start:stop] = columns[name]
        self._users[start:stop] = columns[USER]

    def take(self, rows: np.ndarray) -> list[np.ndarray]:
        """Gathers rows.

        Args:
            rows: `[n]` their numbers.

        Returns:
            `[ids, n]` int64, `[floats, n]` float32, `[n]` int64 users, and for each
            list `[n, max_length]` int64.
        """
        lists = [a.take(rows, axis=0).astype(np.int64) for a in self._lists.values()]
        ids = self._ids.take(rows, axis=0).T.astype(np.int64, order="C")
        floats = np.ascontiguousarray(self._floats.take(rows, axis=0).T)
        return [ids, floats, self._users.take(rows), *lists]


def _interleave(rows: np.ndarray, columns: list[np.ndarray]) -> None:
    """Writes columns into rows, a block that fits the processor's cache at a time."""
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        for at, column in enumerate(columns):
            rows[block, at] = column[block]


def joined(parts: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Puts what several calls of `RowStore.take` gave into one batch."""
    if len(parts) == 1:
        return parts[0]
    axes = [1, 1] + [0] * (len(parts[0]) - 2)
    return [
        np.concatenate(arrays, axis)
        for arrays, axis in zip(zip(*parts, strict=True), axes, strict=True)
    ]
