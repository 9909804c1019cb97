"""Last pass: batches are sampled, encoded and dealt to their shards."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from hgr_tf.features import WEIGHT
from hgr_tf.pipelines.files.blocks import Block, BlockWriter, read_block
from hgr_tf.pipelines.files.progress import report_rows
from hgr_tf.pipelines.kernels.dealing import dealt
from hgr_tf.pipelines.output.layouts import SORT_KEY, places, reaches_all
from hgr_tf.pipelines.output.payload import payload
from hgr_tf.pipelines.rows.fields import SPLIT
from hgr_tf.pipelines.rows.origin import origin_words
from hgr_tf.pipelines.rows.targets import Targets, sample_negatives, targets_of
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.deal_groups import (
    GROUPED,
    Destination,
    are_many,
    dealt_to_groups,
)
from hgr_tf.pipelines.steps.elements import Batch, Key
from hgr_tf.pipelines.steps.plan import Plan
from hgr_tf.pipelines.tables.joining import Joined, join_side, side_tables
from hgr_tf.pipelines.tables.side_table import SideTable
from hgr_tf.pipelines.tables.user_codes import code_table


class Encode(beam.DoFn):
    """Encodes a batch; yields its blocks by destination."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, batch: Batch, plan: Plan, tables: dict[str, Block]
    ) -> Iterator[tuple[Destination, Block] | TaggedOutput]:
        """Yields ((split, shard), Block); tagged where a group of shards is next."""
        settings = self._settings
        rows = read_block(batch.block)
        joined = join_side(rows, settings, side_tables(settings, tables))
        codes = code_table(tables)
        splits = rows[SPLIT].to_numpy()
        blocks: list[tuple[Destination, Block] | TaggedOutput] = []
        with BlockWriter(settings.temporary, "encoded") as writer:
            for split in np.unique(splits[splits >= 0]).tolist():
                part = joined.take(np.flatnonzero(splits == split))
                table, shards = self._encode(part, batch.key, split, plan, codes)
                if is_grouped(settings, count := plan.shards[split]):
                    for group, own in dealt_to_groups(table, shards, count):
                        block = writer.write(own, batch.key)
                        blocks.append(TaggedOutput(GROUPED, ((split, group), block)))
                    continue
                for shard, own in dealt(table, shards):
                    blocks.append(((split, shard), writer.write(own, batch.key)))
        report_rows(settings.temporary, "encoded", rows.num_rows)
        yield from blocks  # only now: the file must be whole before it is read

    def _encode(
        self,
        joined: Joined,
        key: Key,
        split: int,
        plan: Plan,
        codes: SideTable | None,
    ) -> tuple[pa.Table, np.ndarray]:
        """The encoded rows, and the shard of each."""
        settings = self._settings
        joined, targets = _sampled(joined, settings, split)
        rows, num_shards = joined.rows, plan.shards[split]
        shards, order = places(rows, settings, key, num_shards, codes)
        table = payload(settings.output_format, plan.encoding).encode(joined, targets)
        return table.append_column(SORT_KEY, pa.array(order)), shards


def is_grouped(settings: Settings, shards: int) -> bool:
    """Whether a batch reaches so many shards that it deals to groups of them."""
    return reaches_all(settings.layout) and are_many(shards)


def _sampled(joined: Joined, settings: Settings, split: int) -> tuple[Joined, Targets]:
    targets = targets_of(joined.rows, settings.spec)
    sampling = settings.spec.negatives
    if sampling and settings.splits[split] in sampling.splits:
        words = origin_words(joined.rows)
        negative = np.all([values == 0 for values in targets.labels.values()], axis=0)
        kept, factor = sample_negatives(negative, sampling.rate, settings.seed, words)
        targets.weights[WEIGHT] = targets.weights[WEIGHT] * factor
        at = np.flatnonzero(kept)
        joined, targets = joined.take(at), targets.take(at)
    return joined, targets
