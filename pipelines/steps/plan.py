"""Between the passes: the encoding is learned and the shards are counted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam
import numpy as np

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.spec import TableOwner
from hgr_tf.features.splits import TRAIN, TimeSplit
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.blocks import Block
from hgr_tf.pipelines.files.files import join, local_copy, upload_folder
from hgr_tf.pipelines.learning.learn import learn
from hgr_tf.pipelines.learning.observation import Observation, all_summaries
from hgr_tf.pipelines.learning.statistics import statistics
from hgr_tf.pipelines.reasons import UNMATCHED
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.dead_letters import example_of
from hgr_tf.pipelines.steps.join_keys import key_of_each_side
from hgr_tf.pipelines.tables.joining import side_tables

ENCODING = "encoding"

EPOCH = date(1970, 1, 1)


class Plan(NamedTuple):
    """What the last pass needs to know.

    Attributes:
        encoding: Folder of the `FeatureEncoding`.
        shards: Number of shards of each split, by index.
        statistics: Content of statistics.json.
    """

    encoding: str
    shards: dict[int, int]
    statistics: dict


class MakePlan(beam.DoFn):
    """Learns the encoding, once the share of bad rows is known to be fine."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self,
        _: None,
        observation: Observation,
        tables: dict[str, Block],
        counts: dict[str, int],
        dead_letters: list[tuple[str, int]],
    ) -> Iterator[Plan]:
        """Yields the plan.

        Args:
            _: Nothing; the inputs are side inputs.
            observation: Observation of all batches.
            tables: Blocks of the side tables.
            counts: Counters of the run.
            dead_letters: (source, number) of the files already written.
        """
        settings = self._settings
        check_counts(counts, settings)
        if settings.encoding_from is None:
            check_splits(observation, settings)
        summaries = all_summaries(observation, settings, side_tables(settings, tables))
        encoding = learn(
            settings.spec,
            summaries,
            previous_encoding(settings),
            settings.grow_vocabularies,
            settings.evict_after_days,
        )
        folder = join(settings.temporary, ENCODING)
        save_encoding(encoding, summaries, folder)
        yield Plan(
            folder,
            {i: num_shards(observation, i, settings) for i in observation.splits},
            statistics(observation, summaries, encoding, settings),
        )


def check_counts(counts: dict[str, int], settings: Settings) -> None:
    """Raises `PrepareError` if the counts forbid to go on."""
    read, bad = counts.get("rows_read", 0), counts.get("rows_bad", 0)
    where = f"see {settings.dead_letters} in {settings.output}"
    for owner in settings.tables:
        _check_unmatched(counts, owner, settings)
    _check_bad(bad, read, "rows", settings, where, "log")
    for owner in settings.tables:
        wrong = counts.get(f"{owner}_table_bad", 0)
        fine = ("rows", "repeated_keys")
        given = wrong + sum(counts.get(f"{owner}_table_{kind}", 0) for kind in fine)
        rows = f"rows of the {owner} table"
        _check_bad(wrong, given, rows, settings, where, owner)
    twice = counts.get("rows_in_two_splits", 0)
    if settings.spec.overlap == "fail" and twice:
        raise PrepareError(
            f"{twice:,} rows are in two splits, and the spec says `overlap: fail`"
        )
    if not read:
        raise PrepareError("the inputs hold no row")
    if not counts.get("rows_good", 0):
        example = example_of(settings, "log")
        raise PrepareError(
            f"the inputs hold no good row ({read:,} read){example}; {where}"
        )
    if settings.code_table and not counts.get("rows_with_code", 0):
        path = settings.code_table.path
        raise PrepareError(f"{path}: no user of the log has a code in it")


def _check_bad(
    bad: int, read: int, rows: str, settings: Settings, where: str, source: str
) -> None:
    if bad > settings.max_bad_fraction * read:
        raise PrepareError(
            f"{bad:,} of {read:,} {rows} are bad ({bad / read:.2%}), more than the "
            f"{settings.max_bad_fraction:.2%} that --max-bad-fraction allows"
            f"{example_of(settings, source)}; {where}"
        )


def _check_unmatched(
    counts: dict[str, int], owner: TableOwner, settings: Settings
) -> None:
    without = counts.get(f"rows_without_{owner}", 0)
    rows = counts.get("rows_good", 0) + counts.get(f"bad: {UNMATCHED}", 0)
    if without > settings.spec.tables[owner].max_unmatched * rows:
        raise PrepareError(
            f"{without:,} of {rows:,} rows have no row in the {owner} table, more than "
            f"tables.{owner}.max_unmatched in the spec allows: "
            f"{key_of_each_side(settings, owner)}"
        )


def check_splits(observation: Observation, settings: Settings) -> None:
    """Raises `PrepareError` if "train" gets no row, or one split by time all rows."""
    names, by_time = settings.splits, isinstance(settings.spec.split, TimeSplit)
    empty = [n for i, n in enumerate(names) if i not in observation.splits]
    all_in_one = bool(empty) and by_time and len(observation.splits) == 1
    if TRAIN not in empty and not all_in_one:
        return  # small data may leave a split empty: a notice tells of it
    rows = {names[i]: int(counts[0, 0]) for i, counts in observation.splits.items()}
    text = f"no row is in {empty[0]!r}; rows by split: {rows}"
    if TRAIN in empty:
        text = (
            f"no row is in {TRAIN!r}, which vocabularies are learned from; "
            f"rows by split: {rows}"
        )
    days = [day for _, day in observation.days]
    if days and by_time:
        first, last = (str(EPOCH + timedelta(days=d)) for d in (min(days), max(days)))
        text += (
            f"; read in {settings.spec.time_unit!r} (`time_unit`), times run from "
            f"{first} to {last}"
        )
    raise PrepareError(text)


def previous_encoding(settings: Settings) -> FeatureEncoding | None:
    """The encoding of the prepared folder to take over, if any."""
    if settings.encoding_from is None:
        return None
    return FeatureEncoding.load(local_copy(settings.encoding_from))


def num_shards(observation: Observation, split: int, settings: Settings) -> int:
    """Shards of a split: its rows over the rows per shard, at least 1."""
    rows = int(observation.splits[split][0, 0])
    return max(1, -(-rows // settings.shard_rows))


def save_encoding(
    encoding: FeatureEncoding, summaries: dict[str, ColumnSummary], folder: str
) -> None:
    """Writes an encoding, with the training counts of the vocabularies."""
    with tempfile.TemporaryDirectory() as local:
        encoding.save(local)
        for name, vocabulary in encoding.vocabularies.items():
            counts = summaries[name].counts_of(vocabulary)
            path = Path(local, "vocabularies", f"{name}.counts.txt")
            np.savetxt(path, counts, fmt="%d")
        upload_folder(local, folder)
