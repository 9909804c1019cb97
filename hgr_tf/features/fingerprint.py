"""FarmHash Fingerprint64 of many strings at once.

Equals `tf.strings.to_hash_bucket_fast` before its modulo, so that ids made here
and ids made inside a TensorFlow graph agree. Source: Google FarmHash, the
portable 64-bit hash ("farmhashna").
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_K0 = np.uint64(0xC3A5C85C97CB3127)
_K1 = np.uint64(0xB492B66FBE98F273)
_K2 = np.uint64(0x9AE16A3B2F90404F)
_SEED = np.uint64(81)
_PADDING = b"\0" * 8

_Words = tuple[np.ndarray, np.ndarray]


def fingerprint64(texts: pa.Array) -> np.ndarray:
    """Fingerprints of strings.

    Args:
        texts: `[n]` strings or bytes, without nulls.

    Returns:
        `[n]` uint64.
    """
    encoded = texts.dictionary_encode()
    return _unique_fingerprints(encoded.dictionary)[encoded.indices.to_numpy()]


def text_fingerprints(values: pa.Array) -> np.ndarray:
    """Fingerprints of the text of strings or integers: `[n]` uint64."""
    if pa.types.is_integer(values.type):
        encoded = values.dictionary_encode()
        texts = pc.cast(encoded.dictionary, pa.string())
        return _unique_fingerprints(texts)[encoded.indices.to_numpy()]
    return fingerprint64(values)


def _unique_fingerprints(texts: pa.Array) -> np.ndarray:
    texts = texts.cast(pa.large_binary())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)
    offsets = offsets[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    padded = np.frombuffer((data.to_pybytes() if data else b"") + _PADDING, np.uint8)
    start, length = offsets[:-1], np.diff(offsets)
    result = np.full(len(texts), _K2)
    for low, high, function in (
        (1, 4, _hash_1_to_3),
        (4, 8, _hash_4_to_7),
        (8, 17, _hash_8_to_16),
        (17, 33, _hash_17_to_32),
        (33, 65, _hash_33_to_64),
    ):
        rows = np.flatnonzero((length >= low) & (length < high))
        if len(rows):
            result[rows] = function(_Bytes(padded, start[rows], length[rows]))
    for size in np.unique(length[length > 64]):  # equal sizes take equal steps
        rows = np.flatnonzero(length == size)
        result[rows] = _hash_long(_Bytes(padded, start[rows], length[rows]), int(size))
    return result


class _Bytes:
    """The strings being hashed: positions in one buffer, and little-endian reads."""

    def __init__(self, data: np.ndarray, start: np.ndarray, length: np.ndarray):
        self.data, self.start, self.length = data, start, length
        self.size = length.astype(np.uint64)
        self.mul = _K2 + self.size * np.uint64(2)

    def u8(self, at: int | np.ndarray) -> np.ndarray:
        return self.data[self.start + at].astype(np.uint64)

    def u32(self, at: int | np.ndarray) -> np.ndarray:
        return self._words("<u4")[self.start + at].astype(np.uint64)

    def u64(self, at: int | np.ndarray) -> np.ndarray:
        return self._words("<u8")[self.start + at]

    def u64_from_end(self, back: int) -> np.ndarray:
        return self.u64(self.length - back)

    def _words(self, dtype: str) -> np.ndarray:
        # A word at every byte position.
        size = len(self.data) - np.dtype(dtype).itemsize + 1
        return np.ndarray((size,), dtype, buffer=self.data, strides=(1,))


def _rotate(x: np.ndarray, bits: int) -> np.ndarray:
    return (x >> np.uint64(bits)) | (x << np.uint64(64 - bits))


def _shift_mix(x: np.ndarray) -> np.ndarray:
    return x ^ (x >> np.uint64(47))


def _mix(u: np.ndarray, v: np.ndarray, mul: np.ndarray) -> np.ndarray:
    a = _shift_mix((u ^ v) * mul)
    return _shift_mix((v ^ a) * mul) * mul


def _hash_1_to_3(s: _Bytes) -> np.ndarray:
    y = s.u8(0) + (s.u8(s.length >> 1) << np.uint64(8))
    z = s.size + (s.u8(s.length - 1) << np.uint64(2))
    return _shift_mix(y * _K2 ^ z * _K0) * _K2


def _hash_4_to_7(s: _Bytes) -> np.ndarray:
    u = s.size + (s.u32(0) << np.uint64(3))
    return _mix(u, s.u32(s.length - 4), s.mul)


def _hash_8_to_16(s: _Bytes) -> np.ndarray:
    a = s.u64(0) + _K2
    b = s.u64_from_end(8)
    c = _rotate(b, 37) * s.mul + a
    d = (_rotate(a, 25) + b) * s.mul
    return _mix(c, d, s.mul)


def _hash_17_to_32(s: _Bytes) -> np.ndarray:
    a = s.u64(0) * _K1
    b = s.u64(8)
    c = s.u64_from_end(8) * s.mul
    d = s.u64_from_end(16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    return _mix(y, a + _rotate(b + _K2, 18) + c, s.mul)


def _hash_33_to_64(s: _Bytes) -> np.ndarray:
    a = s.u64(0) * _K2
    b = s.u64(8)
    c = s.u64_from_end(8) * s.mul
    d = s.u64_from_end(16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _mix(y, a + _rotate(b + _K2, 18) + c, s.mul)
    e = s.u64(16) * s.mul
    f = s.u64(24)
    g = (y + s.u64_from_end(32)) * s.mul
    h = (z + s.u64_from_end(24)) * s.mul
    return _mix(
        _rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, s.mul
    )


def _hash_long(s: _Bytes, size: int) -> np.ndarray:
    x = np.full(len(s.start), _SEED)
    y = x * _K1 + np.uint64(113)
    z = _shift_mix(y * _K2 + np.uint64(113)) * _K2
    v = w = (np.zeros_like(x), np.zeros_like(x))
    x = x * _K2 + s.u64(0)
    tail = (size - 1) & 63
    for at in range(0, size - 1 - tail, 64):
        x, y, z, v, w = _round(s, at, _K1, x, y, z, v, w, w[1], v[0])
    mul = _K1 + ((z & np.uint64(0xFF)) << np.uint64(1))
    w0 = w[0] + np.uint64(tail)
    v = (v[0] + w0, v[1])
    w = (w0 + v[0], w[1])
    nine = np.uint64(9)
    x, y, z, v, w = _round(s, size - 64, mul, x, y, z, v, w, w[1] * nine, v[0] * nine)
    return _mix(
        _mix(v[0], w[0], mul) + _shift_mix(y) * _K0 + z,
        _mix(v[1], w[1], mul) + x,
        mul,
    )


def _round(
    s: _Bytes,
    at: int,
    mul: np.ndarray | np.uint64,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    v: _Words,
    w: _Words,
    for_x: np.ndarray,
    for_y: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Words, _Words]:
    x = _rotate(x + y + v[0] + s.u64(at + 8), 37) * mul
    y = _rotate(y + v[1] + s.u64(at + 48), 42) * mul
    x = x ^ for_x
    y = y + for_y + s.u64(at + 40)
    z = _rotate(z + w[0], 33) * mul
    v = _weak_hash(s, at, v[1] * mul, x + w[0])
    w = _weak_hash(s, at + 32, z + w[1], y + s.u64(at + 16))
    return z, y, x, v, w


def _weak_hash(s: _Bytes, at: int, a: np.ndarray, b: np.ndarray) -> _Words:
    last = s.u64(at + 24)
    a = a + s.u64(at)
    b = _rotate(b + a + last, 21)
    c = a
    a = a + s.u64(at + 8) + s.u64(at + 16)
    return a + last, b + _rotate(a, 44) + c
