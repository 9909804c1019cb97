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


class DealGroup(beam.DoFn):
    """Deals the rows of a group to its places, a batch at a time."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[Destination, Iterable[Block]]
    ) -> Iterator[tuple[Destination, Block]]:
        """Yields (destination, Block)."""
        (split, _), blocks = element
        sent = []
        with BlockWriter(self._settings.temporary, "grouped") as writer:
            batches = read_in_batches(list(blocks), BATCH_ROWS)
            for index, rows in enumerate(batches):
                places = rows[_PLACE].to_numpy()
                for place, part in dealt(rows.drop_columns([_PLACE]), places):
                    sent.append(((split, place), writer.write(part, (index,))))
        yield from sent  # only now: the file must be whole before it is read
