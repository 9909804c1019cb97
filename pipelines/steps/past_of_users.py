"""Rows of a user meet, and get their histories and their user's counters.

Batches deal their rows to partitions by user. Each row goes twice: as a row of the
timeline, which a partition holds whole, and with all its columns, which pass through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.files.blocks import Block, BlockWriter, read_block
from hgr_tf.pipelines.histories.columns import PastColumns
from hgr_tf.pipelines.histories.partition import past_of_partition
from hgr_tf.pipelines.histories.timeline import USER, timeline
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.rows.fields import EARLIER, SPLIT
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources.base import BATCH_ROWS
from hgr_tf.pipelines.steps.deal_groups import Destination, dealt_to_partitions
from hgr_tf.pipelines.steps.elements import Batch
from hgr_tf.pipelines.steps.split_starts import Starts
from hgr_tf.pipelines.tables.joining import join_side, side_tables

_PURPOSE = 9


class DealByUser(beam.DoFn):
    """Deals the rows of a batch, and their timeline, by user."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, batch: Batch, tables: dict[str, Block]
    ) -> Iterator[tuple[Destination, tuple[Block, Block]]]:
        """Yields ((0, partition or group), (Block of the timeline, of the rows))."""
        settings, rows = self._settings, read_block(batch.block)
        joined = join_side(rows, settings, side_tables(settings, tables))
        line = timeline(joined, settings.spec)
        words = mixed(line[USER].to_numpy(), _PURPOSE)
        partitions = words % np.uint64(settings.partitions)
        lines, wholes = (
            dealt_to_partitions(table, partitions, settings) for table in (line, rows)
        )
        with BlockWriter(settings.temporary, "timelines") as writer:
            sent = [
                (
                    (0, place),
                    (writer.write(part, batch.key), writer.write(own, batch.key)),
                )
                for (place, part), (_, own) in zip(lines, wholes, strict=True)
            ]
        yield from sent


class AddPast(beam.DoFn):
    """Adds their past to the rows of a partition."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[Destination, Iterable[tuple[Block, Block]]], starts: Starts
    ) -> Iterator[Batch]:
        """Takes ((0, partition), pairs of blocks); yields batches."""
        (_, partition), pairs = element
        settings = self._settings
        sent = sorted(pairs, key=lambda blocks: blocks[0].order)
        parts = [read_block(line) for line, _ in sent]
        line = pa.concat_tables(parts)
        past = past_of_partition(line, settings.spec, settings.splits, starts)
        columns = PastColumns(line, past, settings.spec)
        batches = []
        with BlockWriter(settings.temporary, "with_past") as writer:
            blocks = [block for _, block in sent]
            for index, rows in enumerate(_with_past(blocks, columns)):
                key = (partition, index)
                batches.append(Batch(key, writer.write(rows, key)))
        yield from batches


def _with_past(blocks: list[Block], columns: PastColumns) -> Iterator[pa.Table]:
    """The rows of blocks with their past, in batches; earlier ones left out."""
    waiting, places, size, start = [], [], 0, 0
    for block in blocks:
        rows = read_block(block)
        kept = np.flatnonzero(rows[SPLIT].to_numpy() != EARLIER)
        waiting.append(rows.take(pa.array(kept)))
        places.append(start + kept)
        start += rows.num_rows
        size += len(kept)
        if size >= BATCH_ROWS:
            yield _joined(waiting, places, columns)
            waiting, places, size = [], [], 0
    if size:
        yield _joined(waiting, places, columns)


def _joined(
    parts: list[pa.Table], places: list[np.ndarray], columns: PastColumns
) -> pa.Table:
    rows = pa.concat_tables(parts).combine_chunks()
    for name, column in columns.of(np.concatenate(places)).items():
        rows = rows.append_column(name, column)
    return rows
