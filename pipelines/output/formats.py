"""Output formats: what a row is stored as, and what a shard makes of its rows.

A payload encodes batches into tables with a row a log row; tables of one shard
come back together, sorted, to be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hgr_tf.features import USER, FeatureEncoding
from hgr_tf.pipelines.encoding.column_encoder import ColumnEncoder
from hgr_tf.pipelines.encoding.example_encoder import ExampleEncoder
from hgr_tf.pipelines.files.files import local_copy
from hgr_tf.pipelines.kernels.tfrecord import frame, gzip_compressor
from hgr_tf.pipelines.kernels.wire import messages
from hgr_tf.pipelines.rows.fields import id_numbers
from hgr_tf.pipelines.rows.targets import Targets
from hgr_tf.pipelines.tables.joining import Joined

ROWS_AT_ONCE = 8_192
_LISTS_AT_ONCE = 512
_RECORD, _CONTEXT = "record", "context"


class Payload(Protocol):
    """An output format.

    Attributes:
        suffix: Of the names of its files.
    """

    suffix: str

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """A row for each log row."""

    def content(
        self, rows: pa.Table | None, order: np.ndarray, compression: int
    ) -> Iterator[bytes]:
        """The bytes of a shard: its rows in the given order; None if there are none."""


class Examples:
    """A tf.train.Example a row, in gzipped TFRecord files."""

    suffix = "tfrecord.gz"

    def __init__(self, encoding: FeatureEncoding):
        self._encoder = ExampleEncoder(encoding)

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """Serialized examples."""
        return pa.table({_RECORD: _large(self._encoder.encode(joined, targets))})

    def content(self, rows, order, compression) -> Iterator[bytes]:
        """The records, framed and compressed."""
        gzip = gzip_compressor(compression)
        for start in range(0, len(order), ROWS_AT_ONCE):
            some = rows.take(pa.array(order[start : start + ROWS_AT_ONCE]))
            yield gzip.compress(frame(_column(some, _RECORD)))
        yield gzip.flush()


class ExampleLists:
    """An ExampleListWithContext a user: tf-ranking's format, as TFRecords.

    User features are its context; item and context features, and the reserved
    keys but the user, are in its examples. Source:
    tensorflow_serving/apis/input.proto.
    """

    suffix = "elwc.tfrecord.gz"

    def __init__(self, encoding: FeatureEncoding):
        self._spec = encoding.spec
        self._encoder = ExampleEncoder(encoding)

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """Serialized fields of the list: an example, and the context."""
        reserved = self._encoder.reserved(joined.rows, targets)
        context = [*(f.name for f in self._spec.features("user")), USER]
        item = [f.name for f in self._spec.features() if f.owner != "user"]
        item += [key for key in reserved if key != USER]
        examples = self._encoder.example(joined, item, reserved)
        contexts = self._encoder.example(joined, context, reserved)
        return pa.table(
            {
                USER: id_numbers(joined.rows, self._spec, "user"),
                _RECORD: _large(messages(1, [examples])),
                _CONTEXT: _large(messages(2, [contexts])),
            }
        )

    def content(self, rows, order, compression) -> Iterator[bytes]:
        """The lists, framed and compressed; rows of a user lie together."""
        gzip = gzip_compressor(compression)
        users = rows[USER].to_numpy()[order] if rows else np.array([], np.int64)
        starts = np.flatnonzero(np.diff(users, prepend=~users[:1]))
        ends = np.append(starts[1:], len(users))
        for at in range(0, len(starts), _LISTS_AT_ONCE):
            first = starts[at : at + _LISTS_AT_ONCE]
            last = ends[at : at + _LISTS_AT_ONCE][-1]
            some = rows.take(pa.array(order[first[0] : last]))
            yield gzip.compress(frame(_lists(some, first - first[0])))
        yield gzip.flush()


class Columns:
    """A Parquet file of encoded columns."""

    suffix = "parquet"

    def __init__(self, encoding: FeatureEncoding):
        self._encoder = ColumnEncoder(encoding)

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """The encoded columns."""
        return self._encoder.encode(joined, targets)

    def content(self, rows, order, compression) -> Iterator[bytes]:
        """The file."""
        rows = rows.take(pa.array(order)) if rows else self._encoder.empty()
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        yield sink.getvalue().to_pybytes()


PAYLOADS: dict[str, type[Payload]] = {
    "tfrecord": Examples,
    "elwc": ExampleLists,
    "parquet": Columns,
}


def _lists(rows: pa.Table, starts: np.ndarray) -> pa.Array:
    """One record a user: its examples, then the context of the first of them."""
    records = _column(rows, _RECORD)
    offsets = np.frombuffer(records.buffers()[1], np.int64)
    offsets = offsets[records.offset : records.offset + len(records) + 1]
    bounds = np.append(offsets[starts], offsets[-1])
    examples = pa.Array.from_buffers(
        pa.large_binary(),
        len(starts),
        [None, pa.py_buffer(bounds), records.buffers()[2]],
    )
    contexts = _column(rows, _CONTEXT).take(pa.array(starts))
    return pa.compute.binary_join_element_wise(
        examples, contexts, pa.scalar(b"", pa.large_binary())
    )


def _column(rows: pa.Table, name: str) -> pa.Array:
    return rows[name].combine_chunks()


def _large(records: pa.Array) -> pa.Array:
    # 32-bit offsets would overflow once a shard's records are put together.
    return records.cast(pa.large_binary())


@lru_cache(maxsize=2)
def payload(output_format: str, folder: str) -> Payload:
    """The output format of a run, set up once a worker."""
    return PAYLOADS[output_format](FeatureEncoding.load(local_copy(folder)))
