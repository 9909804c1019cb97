"""A partition's timeline becomes the past of its rows, checked for leaks."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa

from hgr_tf.features import FeatureSpec
from hgr_tf.features.past import is_of_user
from hgr_tf.pipelines.histories import past
from hgr_tf.pipelines.histories.cutoffs import Moments, moments
from hgr_tf.pipelines.histories.leak_check import check_no_leak
from hgr_tf.pipelines.histories.past import Columns, Past
from hgr_tf.pipelines.histories.timeline import ITEM, MOMENT, USER, value_name

CHECKED_ROWS = 512
"""Rows of a partition that the leak check looks at, about: whole keys."""


def has_past_of_users(spec: FeatureSpec) -> bool:
    """Whether the rows of a user must meet."""
    counters = spec.counters.values()
    return bool(spec.history) or any(is_of_user(c, spec) for c in counters)


def counters_of_keys(spec: FeatureSpec) -> list[str]:
    """Names of the counters whose keys do not hold the user."""
    return [n for n, c in spec.counters.items() if not is_of_user(c, spec)]


def past_of_partition(
    timeline: pa.Table,
    spec: FeatureSpec,
    splits: tuple[str, ...],
    starts: dict[int, int],
    counter: str | None = None,
) -> Past:
    """The past of rows that hold all rows of each user, or of a counter's keys.

    Args:
        timeline: `[n]` rows.
        spec: The spec.
        splits: Names of the splits.
        starts: First time of each split, where times order rows.
        counter: The counter, if the rows are those of its keys.

    Raises:
        PrepareError: The leak check found a leak.
    """
    columns = _numpy(timeline)
    moments_ = moments(columns, spec, splits, starts)
    compute = past.past_of_users
    keys, shuffled = columns[USER], ITEM
    if counter:
        compute = functools.partial(past.past_of_key, counter)
        keys = past.key_words(spec.counters[counter], columns, spec)
        shuffled = USER if spec.item_id in spec.counters[counter].by else ITEM
    found = compute(columns, moments_, spec, splits)
    kept = _some_keys(keys)
    some = {name: values[kept] for name, values in columns.items()}
    own = Moments(moments_.of_row[kept], moments_.starts)
    check_no_leak(
        lambda changed: compute(changed, own, spec, splits),
        some,
        own.of_row,
        keys[kept],
        shuffled,
        spec,
        np.random.default_rng(len(kept)),
    )
    return found


def _numpy(timeline: pa.Table) -> Columns:
    columns: Columns = {}
    for name in timeline.column_names:
        if name.startswith(value_name("")):
            continue
        column = timeline[name].combine_chunks()
        if name == MOMENT:
            missing = column.is_null().to_numpy(False)
            values = column.fill_null(0).to_numpy(False)
            columns[name] = np.ma.array(values, mask=missing)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return columns


def _some_keys(keys: np.ndarray) -> np.ndarray:
    """Rows of whole keys, the ones of the smallest words; part of a large one."""
    if len(keys) <= CHECKED_ROWS:
        return np.arange(len(keys))
    largest = np.partition(keys, CHECKED_ROWS - 1)[CHECKED_ROWS - 1]
    return np.flatnonzero(keys <= largest)[: 8 * CHECKED_ROWS]
