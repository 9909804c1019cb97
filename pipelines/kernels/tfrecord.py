"""TFRecord framing and gzip, many records at a time.

A record is its length (uint64), the masked CRC-32C of the length, the bytes,
and their masked CRC-32C. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import itertools

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib

from hgr_tf.pipelines.kernels.wire import by_length, concatenated

_GZIP_WINDOW = 31  # 15 bits of window, and a gzip header; its time stamp is 0
_MASK_DELTA = np.uint32(0xA282EAD8)


def frame(records: pa.LargeBinaryArray) -> memoryview:
    """The records of a TFRecord file, as one run of bytes."""
    lengths = pc.binary_length(records).to_numpy()
    headers = by_length(lengths, _header).cast(pa.large_binary())
    framed = concatenated([headers, records, _footers(records)])
    return memoryview(framed.buffers()[2] or b"")


def gzip_compressor(level: int) -> isal_zlib.Compress:
    """A compressor to gzip, by ISA-L: 4 to 9 times as fast as zlib.

    Args:
        level: 0 (fastest) to 3 (smallest).
    """
    return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP_WINDOW)


def _header(length: int) -> bytes:
    data = length.to_bytes(8, "little")
    crc = _masked(np.array([google_crc32c.value(data)], np.uint32))
    return data + crc.astype("<u4").tobytes()


def _footers(records: pa.LargeBinaryArray) -> pa.Array:
    offsets = np.frombuffer(records.buffers()[1], np.int64)
    offsets = offsets[records.offset : records.offset + len(records) + 1]
    data = (records.buffers()[2] or pa.py_buffer(b"")).to_pybytes()
    crcs = _masked(_crcs(data, offsets)).astype("<u4")
    ends = np.arange(0, 4 * len(records) + 1, 4, dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(crcs)]
    return pa.Array.from_buffers(pa.large_binary(), len(records), buffers)


def _crcs(data: bytes, offsets: np.ndarray) -> np.ndarray:
    value = google_crc32c.value
    bounds = offsets.tolist()
    pairs = itertools.pairwise(bounds)
    return np.fromiter((value(data[a:b]) for a, b in pairs), np.uint32, len(bounds) - 1)


def _masked(crcs: np.ndarray) -> np.ndarray:
    rotated = (crcs >> np.uint32(15)) | (crcs << np.uint32(17))
    return rotated + _MASK_DELTA
