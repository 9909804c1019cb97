"""The first time of each split, where histories end at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

from hgr_tf.features import TimeSplit
from hgr_tf.pipelines.files.blocks import read_block
from hgr_tf.pipelines.rows.fields import SPLIT, time_field
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.elements import Batch

Starts = dict[int, int]


class FirstTimes(beam.DoFn):
    """Finds the first time of each split in a batch."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, batch: Batch) -> Iterator[Starts]:
        """Yields {split: time}; nothing where no column holds times."""
        field = time_field(self._settings.spec)
        if field is None:
            return
        rows = read_block(batch.block)
        times, splits = rows[field.name].to_numpy(), rows[SPLIT].to_numpy()
        yield {s: int(times[splits == s].min()) for s in np.unique(splits).tolist()}


def merged(parts: Iterable[Starts]) -> Starts:
    """The first time of each split in any part."""
    found: Starts = {}
    for part in parts:
        for split, time in part.items():
            found[split] = min(time, found.get(split, time))
    return found


def with_given(found: Starts, settings: Settings) -> Starts:
    """The starts that the spec gives win over those of the rows."""
    split = settings.spec.split
    if not isinstance(split, TimeSplit):
        return found
    cuts = split.cuts(settings.spec.time_unit)
    return found | dict(enumerate(cuts, start=1))
