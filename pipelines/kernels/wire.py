"""Protocol buffer wire bytes of tf.train.Example parts, for many rows at once.

Each function returns one byte string per row, as an Arrow array. Source: the
protocol buffer encoding, and tensorflow/core/example/{feature,example}.proto.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LENGTH_DELIMITED = 2
_FLOAT_LIST, _INT64_LIST = 2, 3  # fields of Feature
_VARINT_LIMITS = np.array([1 << (7 * k) for k in range(1, 10)], np.uint64)


def int64_entries(key: str, values: np.ndarray) -> pa.BinaryArray:
    """Map entries `key: Int64List([value])` of `[n]` int64 values."""
    payload, lengths = _varints(values)
    return _list_entries(key, _INT64_LIST, _binary(payload, lengths), lengths)


def int64_list_entries(key: str, values: pa.ListArray) -> pa.BinaryArray:
    """Map entries `key: Int64List(values)` of `[n]` lists of int64."""
    payload, lengths = _varints(values.flatten().to_numpy())
    offsets = values.offsets.to_numpy() - values.offsets[0].as_py()
    ends = np.concatenate([[0], np.cumsum(lengths)])[offsets]
    lengths = np.diff(ends)
    return _list_entries(key, _INT64_LIST, _binary(payload, lengths), lengths)


def float_entries(key: str, values: np.ndarray) -> pa.BinaryArray:
    """Map entries `key: FloatList([value])` of `[n]` float32 values."""
    prefix = np.frombuffer(_entry_prefix(key, _FLOAT_LIST, 4), np.uint8)
    rows = np.empty((len(values), len(prefix) + 4), np.uint8)
    rows[:, : len(prefix)] = prefix
    rows[:, len(prefix) :] = values.astype("<f4").view(np.uint8).reshape(-1, 4)
    return _binary(rows, np.full(len(values), rows.shape[1]))


def float_list_entries(key: str, values: pa.ListArray) -> pa.BinaryArray:
    """Map entries `key: FloatList(values)` of `[n]` lists of float32."""
    payload = values.flatten().to_numpy().astype("<f4").view(np.uint8)
    lengths = np.diff(values.offsets.to_numpy()) * 4
    return _list_entries(key, _FLOAT_LIST, _binary(payload, lengths), lengths)


def messages(
    field: int, bodies: list[pa.Array], lengths: np.ndarray | None = None
) -> pa.BinaryArray:
    """A length-delimited field whose body is the parts of each row, joined."""
    if lengths is None:
        lengths = sum(pc.binary_length(body).to_numpy() for body in bodies)
    headers = by_length(lengths, lambda n: _tag(field) + _varint(n))
    return concatenated([headers, *bodies])


def concatenated(parts: list[pa.Array]) -> pa.Array:
    """The parts of each row, joined."""
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", parts[0].type))


def by_length(lengths: np.ndarray, make: Callable[[int], bytes]) -> pa.BinaryArray:
    """`make(length)` of each row, made once for each length that occurs."""
    distinct = np.flatnonzero(np.bincount(lengths))
    place = np.zeros(distinct[-1] + 1 if len(distinct) else 0, np.int32)
    place[distinct] = np.arange(len(distinct))
    made = pa.array([make(int(n)) for n in distinct], pa.binary())
    return made.take(pa.array(place[lengths]))


def _list_entries(
    key: str, kind: int, payload: pa.BinaryArray, lengths: np.ndarray
) -> pa.BinaryArray:
    prefixes = by_length(lengths, lambda n: _entry_prefix(key, kind, n))
    return concatenated([prefixes, payload])


def _entry_prefix(key: str, kind: int, length: int) -> bytes:
    """All of a map entry that comes before its packed values of `length` bytes."""
    # An empty packed field is left out.
    values = _tag(1) + _varint(length) if length else b""
    list_ = _tag(kind) + _varint(len(values) + length) + values
    name = key.encode()
    head = _tag(1) + _varint(len(name)) + name
    head += _tag(2) + _varint(len(list_) + length) + list_
    return _tag(1) + _varint(len(head) + length) + head


def _tag(field: int) -> bytes:
    return bytes([field << 3 | _LENGTH_DELIMITED])


def _varint(value: int) -> bytes:
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The varints of int64 values: all bytes, and the length of each."""
    words = np.ascontiguousarray(values, np.int64).view(np.uint64)
    lengths = np.searchsorted(_VARINT_LIMITS, words, side="right") + 1
    starts = np.cumsum(lengths) - lengths
    payload = np.empty(lengths.sum(), np.uint8)
    for k in range(lengths.max(initial=0)):
        rows = np.flatnonzero(lengths > k) if k else slice(None)
        septets = words[rows] >> np.uint64(7 * k) & np.uint64(0x7F)
        more = (lengths[rows] > k + 1).astype(np.uint8) << 7
        payload[starts[rows] + k] = septets.astype(np.uint8) | more
    return payload, lengths


def _binary(payload: np.ndarray, lengths: np.ndarray) -> pa.BinaryArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(payload)]
    return pa.Array.from_buffers(pa.binary(), len(lengths), buffers)
