"""RowStore: encoded rows in memory, packed so that a row is gathered at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hgr_tf.features import USER, WEIGHT, FeatureEncoding
from hgr_tf.features.kind import Form

Columns = dict[str, np.ndarray]
"""Decoded columns by name: `[n]`, or `[n, size]` for lists, padded with 0."""

_BLOCK = 1024


@dataclass(frozen=True)
class RowLayout:
    """Which column of a data set lies in which array.

    Attributes:
        ids: Names of the inputs with one integer per row.
        floats: Names of the columns with one float per row, those of labels and
            weights included.
        lists: Forms of the inputs with a list per row.
        id_type: The narrowest integer type that holds the ids of every feature.
    """

    ids: tuple[str, ...]
    floats: tuple[str, ...]
    lists: dict[str, Form] = field(hash=False)
    id_type: type[np.int32] | type[np.int64] = np.int32

    @classmethod
    def of(cls, encoding: FeatureEncoding, has_weight: bool) -> RowLayout:
        """The layout of data of this encoding.

        Args:
            encoding: Names and forms of the inputs, and the labels.
            has_weight: Whether rows carry a weight of their own.
        """
        inputs, weights = encoding.spec.inputs(), encoding.spec.weight_keys()
        of_labels = [key for key in weights if key != WEIGHT]
        single = {name: form for name, form in inputs.items() if form.size is None}
        return cls(
            ids=tuple(n for n, form in single.items() if form.dtype == "int64"),
            floats=(
                *(n for n, form in single.items() if form.dtype == "float32"),
                *encoding.spec.label_keys(),
                *((WEIGHT,) if has_weight else ()),
                *of_labels,
            ),
            lists={n: form for n, form in inputs.items() if form.size is not None},
            id_type=_id_type(encoding),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return (*self.ids, *self.lists, *self.floats, USER)

    @property
    def row_bytes(self) -> int:
        """Bytes that one row takes in memory."""
        lists = sum(
            math.prod(form.shape) * self.stored_type(form.dtype).itemsize
            for form in self.lists.values()
        )
        ids = len(self.ids) * np.dtype(self.id_type).itemsize
        return ids + 4 * len(self.floats) + lists + 8

    def stored_type(self, dtype: str) -> np.dtype:
        """The type that values of an input are stored as."""
        return np.dtype(self.id_type if dtype == "int64" else dtype)


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
            name: np.empty((rows, *form.shape), layout.stored_type(form.dtype))
            for name, form in layout.lists.items()
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
            list `[n, size]` int64 or float32.
        """
        lists = [
            array.take(rows, axis=0).astype(self.layout.lists[name].dtype, copy=False)
            for name, array in self._lists.items()
        ]
        ids = self._ids.take(rows, axis=0).T.astype(np.int64, order="C")
        floats = np.ascontiguousarray(self._floats.take(rows, axis=0).T)
        return [ids, floats, self._users.take(rows), *lists]


def _id_type(encoding: FeatureEncoding) -> type[np.int32] | type[np.int64]:
    limit = np.iinfo(np.int32).max
    for feature in encoding.spec.features():
        if any(form.dtype == "int64" for form in feature.transform.forms):
            # Integers that are no ids may have any size.
            most = feature.transform.num_ids(encoding.learned(feature.name))
            if most is None or most > limit:
                return np.int64
    return np.int32


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
