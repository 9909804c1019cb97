"""Rows of Python values, as JSON and Avro give them, become columns."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.kernels.value_texts import float_texts
from hgr_tf.pipelines.reasons import NOT_LIST
from hgr_tf.pipelines.sources.base import RawBatch, Rejected

_ODD = (pa.ArrowException, OverflowError, TypeError, ValueError)


def batches_of_values(
    rows: list[tuple],
    columns: list[str],
    positions: np.ndarray,
    raw: Callable[[int], str],
    rejected: list[Rejected],
) -> Iterator[RawBatch]:
    """Batches in each of which a column holds either values or lists.

    Args:
        rows: `[n]` tuples of the columns' values.
        columns: Their names.
        positions: `[n]` position of each row in its unit.
        raw: Text of the i-th row.
        rejected: Rows that could not be decoded.
    """
    try:
        yield RawBatch(_columns(rows, columns), positions, raw, rejected)
    except _ODD:
        yield from _batches_by_shape(rows, columns, positions, raw, rejected)


def _batches_by_shape(
    rows: list[tuple],
    columns: list[str],
    positions: np.ndarray,
    raw: Callable[[int], str],
    rejected: list[Rejected],
) -> Iterator[RawBatch]:
    groups, nested = _by_shape(rows)
    faults = [
        Rejected(int(positions[i]), columns[column], NOT_LIST, raw(i))
        for i, column in nested
    ]
    yield RawBatch(_columns([], columns), positions[:0], raw, rejected + faults)
    for at in groups:
        arrays = [_array([rows[i][c] for i in at]) for c in range(len(columns))]
        yield RawBatch(
            columns=dict(zip(columns, arrays, strict=True)),
            rows=positions[at],
            raw=shown_at(raw, at),
        )


def shown_at(
    raw: Callable[[int], str], places: Sequence[int] | np.ndarray
) -> Callable[[int], str]:
    """The text of the i-th of some rows, from that of all rows."""
    return lambda i: raw(places[i])


def _columns(rows: list[tuple], names: list[str]) -> dict[str, pa.Array]:
    values = zip(*rows, strict=True) if rows else [()] * len(names)
    return {name: _typed(column) for name, column in zip(names, values, strict=True)}


def _typed(values: Sequence) -> pa.Array:
    """One type for all values; raises one of `_ODD` if that would change any."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {list}:
        elements = itertools.chain.from_iterable(v for v in values if v)
        kinds = set(map(type, elements)) - {type(None)}
    if len(kinds) > 1 or kinds & {dict, list}:
        raise TypeError("values of several types")
    return pa.array(values)


def _by_shape(rows: list[tuple]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Rows by which of their columns hold lists; and (row, column) at fault."""
    groups: dict[tuple[bool, ...], list[int]] = defaultdict(list)
    nested: list[tuple[int, int]] = []
    for i, row in enumerate(rows):
        faults = [c for c, value in enumerate(row) if _is_nested(value)]
        if faults:
            nested.append((i, faults[0]))
        else:
            groups[tuple(isinstance(value, list) for value in row)].append(i)
    return list(groups.values()), nested


def _is_nested(value: object) -> bool:
    elements = value if isinstance(value, list) else [value]
    return any(isinstance(element, list | dict) for element in elements)


def _array(values: list) -> pa.Array:
    try:
        return _typed(values)
    except _ODD:
        return _texts(values)


def _texts(values: list) -> pa.Array:
    if not any(isinstance(value, list) for value in values):
        return _encoded(values)
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    elements = _encoded(list(itertools.chain.from_iterable(values)))
    return pa.ListArray.from_arrays(pa.array(offsets), elements)


def _encoded(values: list) -> pa.Array:
    floats = [value for value in values if isinstance(value, float)]
    written = iter(float_texts(pa.array(floats, pa.float64())).to_pylist())
    texts = [next(written) if isinstance(v, float) else v for v in values]
    return pa.array(map(_bytes, texts), pa.binary())


def _bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    text = json.dumps(value) if isinstance(value, bool | int) else str(value)
    return text.encode("utf-8", "surrogateescape")
