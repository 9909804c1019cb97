"""What only a view of all rows can tell: duplicates, overlaps, random splits.

Batches send the hashes of their rows to partitions by user, so that equal rows,
and all rows of a user, meet. The partitions send back what they decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypedDict

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from hgr_tf.features import FeatureSpec, RandomSplit
from hgr_tf.pipelines.files.blocks import Block, BlockWriter, read_block
from hgr_tf.pipelines.kernels.dealing import dealt
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.rows.fields import EARLIER, SPLIT
from hgr_tf.pipelines.rows.row_hashes import row_hashes
from hgr_tf.pipelines.rows.splits import random_splits, user_words
from hgr_tf.pipelines.rows.targets import positives_of
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.elements import COUNTS, Batch, Key, Sent

DROPPED = -1


def is_needed(settings: Settings) -> bool:
    """Whether rows must meet before they can be used."""
    given = settings.files[0].split is not None
    watches_overlap = given and len(settings.splits) > 1
    return (
        settings.spec.duplicates != "keep"
        or isinstance(settings.spec.split, RandomSplit)
        or (watches_overlap and settings.spec.overlap != "ignore")
    )


def changes_rows(spec: FeatureSpec) -> bool:
    """Whether batches change by what is found; else it is only counted."""
    return spec.duplicates == "drop" or isinstance(spec.split, RandomSplit)


class Met(TypedDict):
    """A batch, and what is decided of its rows."""

    batch: list[Batch]
    decisions: list[Block]


class SendHashes(beam.DoFn):
    """Deals the hashes of a batch's rows to partitions by user."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, batch: Batch) -> Iterator[tuple[int, Sent]]:
        """Yields (partition, (key of the batch, Block))."""
        settings, rows = self._settings, read_block(batch.block)
        places = np.arange(rows.num_rows, dtype=np.int32)
        splits = rows[SPLIT].to_numpy()
        if (splits == EARLIER).any():  # in no split, so nothing is decided of them
            places = places[splits != EARLIER]
            rows = rows.take(pa.array(places))
        users = user_words(rows, settings.spec)
        first, second = row_hashes(rows, settings.spec)
        table = pa.table(
            {
                "user": users,
                "first": first,
                "second": second,
                "positives": positives_of(rows, settings.spec),
                "split": rows[SPLIT],
                "row": places,
            }
        )
        partitions = mixed(users, 1) % np.uint64(settings.partitions)
        with BlockWriter(settings.temporary, "hashes") as writer:
            blocks = [
                (partition, (batch.key, writer.write(part, batch.key)))
                for partition, part in dealt(table, partitions)
            ]
        yield from blocks


class Decide(beam.DoFn):
    """Finds duplicates and overlaps of a partition, and splits it at random."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, element: tuple[int, Iterable[Sent]]
    ) -> Iterator[Sent | TaggedOutput]:
        """Yields (key of a batch, Block of rows and their splits)."""
        spec, sent = self._settings.spec, sorted(element[1])
        tables = [read_block(block) for _, block in sent]
        table = pa.concat_tables(tables)
        column = {name: table[name].to_numpy() for name in table.column_names}
        group = _groups(column["first"], column["second"])
        split = column["split"].copy()
        counts: Counter[str] = Counter()
        if isinstance(spec.split, RandomSplit):
            split = random_splits(column, group, spec.split, self._settings.seed)
        if spec.overlap != "ignore":
            counts["rows_in_two_splits"] = int(_overlap(group, split).sum())
        if spec.duplicates != "keep":
            repeated = _repeated(group, split)
            counts["rows_duplicate"] = int(repeated.sum())
        if spec.duplicates == "drop":
            split[repeated] = DROPPED
        yield TaggedOutput(COUNTS, counts)
        if changes_rows(spec):
            yield from self._send_back(sent, tables, column["row"], split)

    def _send_back(
        self,
        sent: list[Sent],
        tables: list[pa.Table],
        rows: np.ndarray,
        split: np.ndarray,
    ) -> Iterator[Sent]:
        ends = np.cumsum([table.num_rows for table in tables])
        decisions = []
        with BlockWriter(self._settings.temporary, "decisions") as writer:
            for (key, _), start, end in zip(sent, [0, *ends], ends, strict=False):
                table = pa.table({"row": rows[start:end], "split": split[start:end]})
                decisions.append((key, writer.write(table, key)))
        yield from decisions


class Apply(beam.DoFn):
    """Rewrites a batch with the splits that were decided, dropped rows left out."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, element: tuple[Key, Met]) -> Iterator[Batch]:
        """Takes (key, {"batch": [...], "decisions": [...]}); yields a `Batch`."""
        key, found = element
        (batch,) = found["batch"]
        rows = read_block(batch.block)
        earlier = rows[SPLIT].to_numpy() == EARLIER
        splits = np.where(earlier, EARLIER, DROPPED).astype(np.int8)
        for block in found["decisions"]:
            decision = read_block(block)
            splits[decision["row"].to_numpy()] = decision["split"].to_numpy()
        at = rows.column_names.index(SPLIT)
        rows = rows.set_column(at, SPLIT, pa.array(splits))
        rows = rows.filter(pa.array(splits != DROPPED))
        with BlockWriter(self._settings.temporary, "assigned") as writer:
            block = writer.write(rows, key)
        yield Batch(key, block)


def _groups(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`[n]` int: equal numbers for equal rows."""
    order = np.lexsort((second, first))
    changes = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    group = np.empty(len(order), np.int64)
    group[order] = np.concatenate([[0], np.cumsum(changes)])[: len(order)]
    return group


def _overlap(group: np.ndarray, split: np.ndarray) -> np.ndarray:
    """`[n]` bool: rows of a split that an earlier split holds as well."""
    earliest = np.full(group.max(initial=-1) + 1, np.iinfo(np.int8).max, np.int8)
    np.minimum.at(earliest, group, split)
    return split > earliest[group]


def _repeated(group: np.ndarray, split: np.ndarray) -> np.ndarray:
    """`[n]` bool: rows that came before in their split."""
    pairs = group * 128 + split
    _, first = np.unique(pairs, return_index=True)
    repeated = np.ones(len(pairs), bool)
    repeated[first] = False
    return repeated
