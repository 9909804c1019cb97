"""Payload: what every output format is; the formats are files of `formats/`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureEncoding
from hgr_tf.pipelines.files.files import local_copy
from hgr_tf.pipelines.rows.targets import Targets
from hgr_tf.pipelines.settings import OUTPUT_FORMATS, Layout
from hgr_tf.pipelines.tables.joining import Joined


class Payload(ABC):
    """An output format: what a row is stored as, and what a shard makes of its rows.

    It encodes batches into tables with a row for each log row; the tables of one
    shard come back together, sorted, to be written.

    Attributes:
        suffix: Suffix of the names of its files.
        layout: The only layout that it can hold, if there is one.

    Args:
        encoding: How the features are encoded.
    """

    suffix: ClassVar[str]
    layout: ClassVar[Layout | None] = None

    def __init__(self, encoding: FeatureEncoding):
        self.encoding = encoding

    @abstractmethod
    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """Returns a table with a row for each log row."""

    @abstractmethod
    def content(
        self, rows: pa.Table | None, order: np.ndarray, compression: int
    ) -> Iterator[bytes]:
        """Yields the bytes of a shard.

        Args:
            rows: What `encode` made of the shard's rows; None if it has none.
            order: The place of each written row in `rows`.
            compression: Level of gzip, where the format compresses so.
        """


def column(rows: pa.Table, name: str) -> pa.Array:
    """A column of a table, in one piece."""
    return rows[name].combine_chunks()


def large(records: pa.Array) -> pa.Array:
    """Records with 64-bit offsets: a shard's ones together may pass 2 GB."""
    return records.cast(pa.large_binary())


@lru_cache(maxsize=2)
def payload(output_format: str, folder: str) -> Payload:
    """The output format of a run, set up once for each worker."""
    return OUTPUT_FORMATS[output_format](FeatureEncoding.load(local_copy(folder)))
