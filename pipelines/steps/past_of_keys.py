"""Counters whose keys do not hold the user: counts go out and come back to the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.files.blocks import Block, BlockWriter, read_block
from hgr_tf.pipelines.histories.partition import counters_of_keys, past_of_partition
from hgr_tf.pipelines.histories.past import key_words
from hgr_tf.pipelines.histories.timeline import timeline, value_name
from hgr_tf.pipelines.kernels.dealing import dealt
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.rows.fields import EARLIER, SPLIT, feature_field
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.elements import Batch, Key, Sent
from hgr_tf.pipelines.steps.split_starts import Starts
from hgr_tf.pipelines.tables.joining import join_side, side_tables

_PURPOSE = 10
_ROW = "__row__"


class Met(TypedDict):
    """A batch, and the counts of its rows."""

    batch: list[Batch]
    counts: list[Block]


class DealByKey(beam.DoFn):
    """Deals the timeline of a batch by the key of each counter."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, batch: Batch, tables: dict[str, Block]
    ) -> Iterator[tuple[tuple[str, int], Sent]]:
        """Yields ((counter, partition), (key of the batch, Block))."""
        settings, rows = self._settings, read_block(batch.block)
        spec = settings.spec
        joined = join_side(rows, settings, side_tables(settings, tables))
        line = timeline(joined, spec)
        listed = [n for n in line.column_names if n.startswith(value_name(""))]
        line = line.drop_columns(listed)
        numbers = {name: line[name].to_numpy() for name in line.column_names}
        line = line.append_column(
            _ROW, pa.array(np.arange(rows.num_rows, dtype=np.int32))
        )
        sent = []
        with BlockWriter(settings.temporary, "keys") as writer:
            for counter in counters_of_keys(spec):
                words = mixed(
                    key_words(spec.counters[counter], numbers, spec), _PURPOSE
                )
                partitions = words % np.uint64(settings.partitions)
                for partition, part in dealt(line, partitions):
                    block = writer.write(part, batch.key)
                    sent.append(((counter, partition), (batch.key, block)))
        yield from sent


class Count(beam.DoFn):
    """Counts the past of a partition's rows."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[tuple[str, int], Iterable[Sent]], starts: Starts
    ) -> Iterator[Sent]:
        """Takes ((counter, partition), blocks); yields (key of a batch, Block)."""
        (counter, partition), unsorted = element
        settings, sent = self._settings, sorted(unsorted)
        parts = [read_block(block) for _, block in sent]
        rows = pa.concat_tables(parts)
        line = rows.drop_columns([_ROW])
        past = past_of_partition(line, settings.spec, settings.splits, starts, counter)
        table = pa.table({_ROW: rows[_ROW], **past.numbers})
        ends = np.cumsum([part.num_rows for part in parts])
        found = []
        with BlockWriter(settings.temporary, "counts") as writer:
            for (key, _), start, end in zip(sent, [0, *ends], ends, strict=False):
                own = table.slice(start, end - start)
                found.append((key, writer.write(own, (*key, partition))))
        yield from found


class AddCounts(beam.DoFn):
    """Adds counts to the rows of a batch; earlier rows leave if nothing needs them."""

    def __init__(self, settings: Settings, keep_earlier: bool):
        self._settings, self._keep_earlier = settings, keep_earlier

    def process(self, element: tuple[Key, Met]) -> Iterator[Batch]:
        """Takes (key, {"batch": [...], "counts": blocks}); yields a `Batch`."""
        key, met = element
        (batch,) = met["batch"]
        rows = read_block(batch.block)
        numbers: dict[str, np.ndarray] = {}
        for table in map(read_block, met["counts"]):
            at = table[_ROW].to_numpy()
            for name in table.column_names:
                if name != _ROW:
                    column = numbers.setdefault(
                        name, np.empty(rows.num_rows, np.float32)
                    )
                    column[at] = table[name].to_numpy()
        for feature in self._settings.spec.features():
            if feature.name in numbers:
                name = feature_field(feature).name
                rows = rows.append_column(name, pa.array(numbers[feature.name]))
        if not self._keep_earlier:
            rows = rows.filter(pa.array(rows[SPLIT].to_numpy() != EARLIER))
        if rows.num_rows:
            with BlockWriter(self._settings.temporary, "counted") as writer:
                counted = Batch(key, writer.write(rows, key))
            yield counted
