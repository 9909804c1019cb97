"""Second pass: sees every checked row; learns from those of "train"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureSpec
from hgr_tf.features.splits import TRAIN, units_per_second
from hgr_tf.pipelines.files.blocks import Block, read_block
from hgr_tf.pipelines.learning.observation import (
    Observation,
    from_log,
    summarize,
)
from hgr_tf.pipelines.rows.fields import SPLIT, time_field
from hgr_tf.pipelines.rows.targets import target_of
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.elements import Batch
from hgr_tf.pipelines.tables.joining import join_side, side_tables, values_of
from hgr_tf.pipelines.tables.side_table import SideTable

_SECONDS_A_DAY = 86_400
_MERGE_EVERY = 16


class Observe(beam.DoFn):
    """Turns a batch into an `Observation`."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, batch: Batch, tables: dict[str, Block]) -> Iterator[Observation]:
        """Yields the observation of one batch."""
        settings, rows = self._settings, read_block(batch.block)
        splits = rows[SPLIT].to_numpy()
        observation = Observation()
        _count_splits(observation, rows, splits, settings.spec)
        in_train = np.array(settings.splits)[splits] == TRAIN
        training = rows.filter(pa.array(in_train))
        self._see(observation, training, side_tables(settings, tables))
        yield observation

    def _see(
        self, observation: Observation, rows: pa.Table, sides: dict[str, SideTable]
    ) -> None:
        spec = self._settings.spec
        joined = join_side(rows, self._settings, sides)
        for feature in from_log(spec, self._settings.shuffled_owners()):
            column = values_of(feature, joined, spec)
            observation.log[feature.name] = summarize(feature, column)
        for owner, table in sides.items():
            size = table.rows.num_rows
            hits = np.bincount(joined.positions[owner], minlength=size)
            observation.hits[owner] = hits.astype(np.int64)


class MergeObservations(beam.CombineFn):
    """Adds observations up, a few at a time."""

    def create_accumulator(self) -> list[Observation]:
        """Nothing seen."""
        return []

    def add_input(
        self, accumulator: list[Observation], observation: Observation
    ) -> list[Observation]:
        """Keeps one more."""
        accumulator.append(observation)
        if len(accumulator) < _MERGE_EVERY:
            return accumulator
        return [_sum(accumulator)]

    def merge_accumulators(
        self, accumulators: Iterable[list[Observation]]
    ) -> list[Observation]:
        """Adds up what workers saw."""
        return [_sum(o for a in accumulators for o in a)]

    def compact(self, accumulator: list[Observation]) -> list[Observation]:
        """Adds up what is handed on."""
        return [_sum(accumulator)]

    def extract_output(self, accumulator: list[Observation]) -> Observation:
        """The sum."""
        return _sum(accumulator)


def _sum(observations: Iterable[Observation]) -> Observation:
    total = Observation()
    for observation in observations:
        total += observation
        total.check_size()
    return total


def _count_splits(
    observation: Observation, rows: pa.Table, splits: np.ndarray, spec: FeatureSpec
) -> None:
    flags = _defined_and_positive(rows, spec)
    days = _days(rows, spec)
    for split in np.unique(splits):
        here = splits == split
        observation.splits[int(split)] = flags[:, :, here].sum(axis=2)
        if days is None:
            continue
        for day in np.unique(days[here]):
            that_day = here & (days == day)
            counts = flags[:, :, that_day].sum(axis=2)
            observation.days[int(split), int(day)] = counts


def _defined_and_positive(rows: pa.Table, spec: FeatureSpec) -> np.ndarray:
    """`[labels, 2, n]` bool: where each label is defined, and where it is positive."""
    positive: dict[str, np.ndarray] = {}
    flags = []
    for name, label in spec.all_labels.items():
        positive[name] = target_of(rows, label) > 0
        everywhere = np.ones(rows.num_rows, bool)
        defined = positive[label.given] if label.given else everywhere
        flags.append([defined, positive[name]])
    return np.array(flags)


def _days(rows: pa.Table, spec: FeatureSpec) -> np.ndarray | None:
    field = time_field(spec)
    if field is None or spec.time_unit is None:
        return None
    per_day = units_per_second(spec.time_unit) * _SECONDS_A_DAY
    return rows[field.name].to_numpy() // per_day
