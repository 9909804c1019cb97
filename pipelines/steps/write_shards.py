"""Shards: blocks gathered, sorted, compressed and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hgr_tf.data.manifest import Shard
from hgr_tf.pipelines.files.blocks import Block, read_blocks
from hgr_tf.pipelines.files.files import atomic_file, join
from hgr_tf.pipelines.files.progress import report_rows
from hgr_tf.pipelines.output.layouts import SORT_KEY
from hgr_tf.pipelines.output.payload import Payload, payload
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.plan import Plan


class WrittenShard(NamedTuple):
    """A shard on disk, and which split it belongs to."""

    split: int
    shard: Shard


class WriteShard(beam.DoFn):
    """Writes one shard from its blocks."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[tuple[int, int], Iterable[Block | None]], plan: Plan
    ) -> Iterator[WrittenShard]:
        """Takes ((split, shard), blocks); yields a `WrittenShard`."""
        (split, shard), found = element
        blocks = [block for block in found if block is not None]
        format_ = payload(self._settings.output_format, plan.encoding)
        name = f"{self._settings.splits[split]}-{shard:05d}-of-{plan.shards[split]:05d}"
        name = f"{name}.{format_.suffix}"
        digest, size = hashlib.sha256(), 0
        with atomic_file(join(self._settings.results, name)) as file:
            for data in self._content(format_, blocks):
                digest.update(data)
                size += len(data)
                file.write(data)
        rows = sum(block.rows for block in blocks)
        written = Shard(file=name, rows=rows, bytes=size, sha256=digest.hexdigest())
        report_rows(self._settings.temporary, "written", rows)
        yield WrittenShard(split, written)

    def _content(self, format_: Payload, blocks: list[Block]) -> Iterator[bytes]:
        rows, order = None, np.array([], np.int64)
        if blocks:
            rows = pa.concat_tables(read_blocks(blocks)).combine_chunks()
            # Stable: equal keys stay as they came.
            order = np.argsort(rows[SORT_KEY].to_numpy(), kind="stable")
            rows = rows.drop_columns([SORT_KEY])
        return format_.content(rows, order, self._settings.compression)
