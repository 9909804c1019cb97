"""A tf.train.Example for each row, in gzipped TFRecord files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureEncoding
from hgr_tf.pipelines.encoding.example_encoder import ExampleEncoder
from hgr_tf.pipelines.kernels.tfrecord import frame, gzip_compressor
from hgr_tf.pipelines.output.payload import Payload, column, large
from hgr_tf.pipelines.rows.targets import Targets
from hgr_tf.pipelines.tables.joining import Joined

ROWS_AT_ONCE = 8_192
_RECORD = "record"


class Examples(Payload):
    """A tf.train.Example for each row, in gzipped TFRecord files."""

    suffix = "tfrecord.gz"

    def __init__(self, encoding: FeatureEncoding):
        super().__init__(encoding)
        self._encoder = ExampleEncoder(encoding)

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """Serialized examples."""
        return pa.table({_RECORD: large(self._encoder.encode(joined, targets))})

    def content(
        self, rows: pa.Table | None, order: np.ndarray, compression: int
    ) -> Iterator[bytes]:
        """The records, framed and compressed."""
        gzip = gzip_compressor(compression)
        if rows is not None:
            for start in range(0, len(order), ROWS_AT_ONCE):
                some = rows.take(pa.array(order[start : start + ROWS_AT_ONCE]))
                yield gzip.compress(frame(column(some, _RECORD)))
        yield gzip.flush()
