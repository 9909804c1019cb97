"""TFRecordShards: a tf.train.Example for each row; a unit is a shard."""

from __future__ import annotations

import functools
import hashlib
import struct

import numpy as np
import tensorflow as tf
from isal import igzip

from hgr_tf.data.manifest import ManifestError
from hgr_tf.data.row_store import Columns, RowLayout
from hgr_tf.data.shards import Shards, Unit
from hgr_tf.features.kind import Form

ROWS_AT_ONCE = 16_384
"""Examples that are parsed together."""

_LENGTH = struct.Struct("<Q")


class TFRecordShards(Shards):
    """Shards that `hgr-tf prepare --output-format tfrecord` wrote.

    A shard is read whole and its SHA-256 compared, which makes the checksums of the
    records needless; then many examples are parsed at once.
    """

    def has(self, name: str) -> bool:
        """Whether the first example has this key."""
        return name in self._first.features.feature

    def units(self) -> list[Unit]:
        """The shards that have rows."""
        return [Unit(i, s.rows) for i, s in enumerate(self.listed) if s.rows]

    def decode(self, unit: Unit, layout: RowLayout) -> Columns:
        """Reads a shard; lists come padded."""
        records = self._records(unit.shard)
        schema = example_schema(layout)
        parts = []
        with tf.device("CPU:0"):
            for start in range(0, len(records), ROWS_AT_ONCE):
                some = tf.constant(records[start : start + ROWS_AT_ONCE])
                try:
                    parsed = tf.io.parse_example(some, schema)
                except tf.errors.InvalidArgumentError as error:
                    raise ManifestError(
                        f"{self.path(unit.shard)}: its examples do not follow the "
                        f"spec ({error.message}); run `hgr-tf prepare` again"
                    ) from error
                parts.append(parsed)
            return {
                name: _joined([part[name] for part in parts], layout.lists.get(name))
                for name in layout.names
            }

    @functools.cached_property
    def _first(self) -> tf.train.Example:
        (unit, *_) = self.units()
        record = self._records(unit.shard, most=1)[0]
        return tf.train.Example.FromString(record)

    def _records(self, shard: int, most: int | None = None) -> list[bytes]:
        try:
            stored = self.path(shard).read_bytes()
        except OSError:
            self.check(shard)
            raise
        if hashlib.sha256(stored).hexdigest() != self.listed[shard].sha256:
            self.check(shard)
        return _split(igzip.decompress(stored), most)


def _split(data: bytes, most: int | None) -> list[bytes]:
    """Records of a TFRecord file: length, its CRC, the bytes, their CRC."""
    records: list[bytes] = []
    at = 0
    while at < len(data) and len(records) != most:
        (length,) = _LENGTH.unpack_from(data, at)
        records.append(data[at + 12 : at + 12 + length])
        at += length + 16
    return records


def example_schema(layout: RowLayout) -> dict:
    """What `tf.io.parse_example` reads columns by; padded lists come ragged."""
    schema = dict.fromkeys(layout.names, tf.io.FixedLenFeature([], tf.int64))
    one_float = tf.io.FixedLenFeature([], tf.float32)
    schema |= dict.fromkeys(layout.floats, one_float)
    for name, form in layout.lists.items():
        if form.padded:
            schema[name] = tf.io.RaggedFeature(form.dtype, row_splits_dtype=tf.int64)
        else:
            schema[name] = tf.io.FixedLenFeature(form.shape, form.dtype)
    return schema


def _joined(parts: list[tf.Tensor | tf.RaggedTensor], form: Form | None) -> np.ndarray:
    if form is not None and form.padded:
        parts = [part.to_tensor(shape=[None, form.size]) for part in parts]
    return tf.concat(parts, axis=0).numpy()
