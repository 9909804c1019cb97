"""An ExampleListWithContext for each user, in gzipped TFRecord files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import USER, FeatureEncoding
from hgr_tf.pipelines.encoding.example_encoder import ExampleEncoder
from hgr_tf.pipelines.kernels.tfrecord import frame, gzip_compressor
from hgr_tf.pipelines.kernels.wire import messages
from hgr_tf.pipelines.output.payload import Payload, column, large
from hgr_tf.pipelines.rows.fields import id_numbers
from hgr_tf.pipelines.rows.targets import Targets
from hgr_tf.pipelines.tables.joining import Joined

_LISTS_AT_ONCE = 512
_RECORD, _CONTEXT = "record", "context"


class ExampleLists(Payload):
    """An ExampleListWithContext for each user: tf-ranking's format, as TFRecords.

    User features are its context; item and context features, and the reserved
    keys but the user, are in its examples. Source:
    tensorflow_serving/apis/input.proto.
    """

    suffix = "elwc.tfrecord.gz"
    layout = "user"

    def __init__(self, encoding: FeatureEncoding):
        super().__init__(encoding)
        self._spec = encoding.spec
        self._encoder = ExampleEncoder(encoding)

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """Serialized fields of the list: an example, and the context."""
        reserved = self._encoder.reserved(joined.rows, targets)
        context = [USER]
        item: list[str] = []
        for feature in self._spec.features():
            # What a user did before may differ from row to row of a list.
            of_list = feature.owner == "user" and not feature.is_past
            (context if of_list else item).extend(feature.inputs)
        item += [key for key in reserved if key != USER]
        examples = self._encoder.example(joined, item, reserved)
        contexts = self._encoder.example(joined, context, reserved)
        return pa.table(
            {
                USER: id_numbers(joined.rows, self._spec, "user"),
                _RECORD: large(messages(1, [examples])),
                _CONTEXT: large(messages(2, [contexts])),
            }
        )

    def content(
        self, rows: pa.Table | None, order: np.ndarray, compression: int
    ) -> Iterator[bytes]:
        """The lists, framed and compressed; rows of a user lie together."""
        gzip = gzip_compressor(compression)
        if rows is not None:
            users = rows[USER].to_numpy()[order]
            starts = np.flatnonzero(np.diff(users, prepend=~users[:1]))
            ends = np.append(starts[1:], len(users))
            for at in range(0, len(starts), _LISTS_AT_ONCE):
                first = starts[at : at + _LISTS_AT_ONCE]
                last = ends[at : at + _LISTS_AT_ONCE][-1]
                some = rows.take(pa.array(order[first[0] : last]))
                yield gzip.compress(frame(_lists(some, first - first[0])))
        yield gzip.flush()


def _lists(rows: pa.Table, starts: np.ndarray) -> pa.Array:
    """One record for each user: its examples, then the context of the first of them."""
    records = column(rows, _RECORD)
    offsets = np.frombuffer(records.buffers()[1], np.int64)
    offsets = offsets[records.offset : records.offset + len(records) + 1]
    bounds = np.append(offsets[starts], offsets[-1])
    examples = pa.Array.from_buffers(
        pa.large_binary(),
        len(starts),
        [None, pa.py_buffer(bounds), records.buffers()[2]],
    )
    contexts = column(rows, _CONTEXT).take(pa.array(starts))
    return pc.binary_join_element_wise(
        examples, contexts, pa.scalar(b"", pa.large_binary())
    )
