"""Rows on their way to many places, by way of groups of places.

A batch that deals its rows to thousands of places makes blocks of a few rows each, and
what a block costs is then most of the work. So a batch deals to groups of places, where
the rows of many batches meet, and each group deals to its own places. The rows of a
place are the same, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.files.blocks import Block, BlockWriter, read_in_batches
from hgr_tf.pipelines.kernels.dealing import dealt
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources.base import BATCH_ROWS

GROUPED = "grouped"
"""Tag of the output of rows that go to a group first."""

MOST_PLACES = 64
"""Places that a batch is dealt to at once, at most."""

_PLACE = "__place__"

Destination = tuple[int, int]
"""A split, or 0 where there are none; and a place or group of it."""


def dealt_to_groups(
    table: pa.Table, places: np.ndarray, count: int
) -> list[tuple[int, pa.Table]]:
    """The rows of each group that gets any; they keep their places.

    Args:
        table: `[n]` rows.
        places: `[n]` numbers below `count`.
        count: How many places there are: groups are the square root of it.
    """
    groups = math.isqrt(count - 1) + 1
    of_rows = places.astype(np.int64) * groups // count
    return dealt(
        table.append_column(_PLACE, pa.array(places.astype(np.int64))), of_rows
    )


class ByWayOfGroups(beam.PTransform):
    """Deals blocks of groups, as `dealt_to_groups` makes them, to their places."""

    def __init__(self, settings: Settings):
        super().__init__()
        self._settings = settings

    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        """Takes (destination of a group, Block); returns the same of places."""
        return (
            blocks
            | "GroupByGroup" >> beam.GroupByKey()
            | "DealGroup" >> beam.ParDo(DealGroup(self._settings))
        )


def are_many(places: int) -> bool:
    """Whether there are so many places that rows go to groups of them first."""
    return places > MOST_PLACES


def reaches_many(settings: Settings) -> bool:
    """Whether rows go to groups of partitions first."""
    return are_many(settings.partitions)


def dealt_to_partitions(
    table: pa.Table, partitions: np.ndarray, settings: Settings
) -> list[tuple[int, pa.Table]]:
    """The rows of each partition, or of each group where partitions are many."""
    if reaches_many(settings):
        return dealt_to_groups(table, partitions, settings.partitions)
    return dealt(table, partitions)


class DealGroup(beam.DoFn):
    """Deals the rows of a group to its places, a batch at a time.

    Each element is one block, or several whose rows belong together one by one.
    """

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[Destination, Iterable[Block | tuple[Block, ...]]]
    ) -> Iterator[tuple[Destination, Block | tuple[Block, ...]]]:
        """Yields (destination, what the elements are)."""
        (split, _), found = element
        elements = list(found)
        alone = isinstance(elements[0], Block)
        together = [(e,) if isinstance(e, Block) else e for e in elements]
        columns = map(list, zip(*together, strict=True))
        read = [read_in_batches(blocks, BATCH_ROWS) for blocks in columns]
        sent: list[tuple[Destination, Block | tuple[Block, ...]]] = []
        with BlockWriter(self._settings.temporary, "grouped") as writer:
            for index, tables in enumerate(zip(*read, strict=True)):
                for place, parts in _dealt_alike(tables):
                    own = tuple(writer.write(part, (index,)) for part in parts)
                    sent.append(((split, place), own[0] if alone else own))
        yield from sent  # only now: the file must be whole before it is read


def _dealt_alike(
    tables: tuple[pa.Table, ...],
) -> Iterator[tuple[int, tuple[pa.Table, ...]]]:
    """The rows of each place, of tables whose rows belong together."""
    parts = [dealt(t.drop_columns([_PLACE]), t[_PLACE].to_numpy()) for t in tables]
    for of_place in zip(*parts, strict=True):
        yield of_place[0][0], tuple(table for _, table in of_place)
