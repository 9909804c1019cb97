"""A Parquet file of encoded columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hgr_tf.features import FeatureEncoding
from hgr_tf.pipelines.encoding.column_encoder import ColumnEncoder
from hgr_tf.pipelines.output.payload import Payload
from hgr_tf.pipelines.rows.targets import Targets
from hgr_tf.pipelines.tables.joining import Joined

ROW_GROUP = 1 << 17
"""Rows of a row group, at most: the default shard is one."""


class Columns(Payload):
    """A Parquet file of encoded columns, which training reads by default.

    Its row groups are what the reader decodes at once; its pages carry checksums.
    """

    suffix = "parquet"

    def __init__(self, encoding: FeatureEncoding):
        super().__init__(encoding)
        self._encoder = ColumnEncoder(encoding)

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """The encoded columns."""
        return self._encoder.encode(joined, targets)

    def content(
        self, rows: pa.Table | None, order: np.ndarray, compression: int
    ) -> Iterator[bytes]:
        """The file."""
        rows = rows.take(pa.array(order)) if rows else self._encoder.empty()
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, row_group_size=ROW_GROUP, write_page_checksum=True)
        yield sink.getvalue().to_pybytes()
