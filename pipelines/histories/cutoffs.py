"""The moment at which the past of each row ends, before any delay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hgr_tf.features import FeatureSpec
from hgr_tf.features.durations import in_units
from hgr_tf.features.histories import DAY, ROW, SPLIT, AsOf
from hgr_tf.features.past import splits_follow
from hgr_tf.features.splits import TRAIN
from hgr_tf.pipelines.histories.timeline import MOMENT, USER, request_name
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.rows import fields

_EARLIEST = np.iinfo(np.int64).min


class Moments(NamedTuple):
    """The moments of rows as numbers, whatever orders them.

    Attributes:
        of_row: `[n]` int64.
        starts: Moment at which each split starts, by its index.
    """

    of_row: np.ndarray
    starts: dict[int, int]


def moments(
    columns: dict[str, np.ndarray],
    spec: FeatureSpec,
    splits: tuple[str, ...],
    starts: dict[int, int],
) -> Moments:
    """The moments of a partition's rows.

    Times are moments themselves. With `order`, a row's moment is its rank by split,
    then by order: earlier inputs, "train", the other splits as they were given. Rows
    without a value are the first moment of their split.

    Args:
        columns: Of the timeline; MOMENT is a masked array.
        spec: The spec.
        splits: Names of the splits.
        starts: First time of each split, where times order rows.
    """
    moment = columns[MOMENT]
    if spec.time:
        return Moments(np.ma.getdata(moment), starts)
    rank = _split_ranks(columns[fields.SPLIT], splits)
    number = np.ma.filled(moment, _EARLIEST)
    order = np.lexsort((number, rank))
    changes = np.ones(len(order), bool)
    changes[1:] = np.diff(rank[order]) != 0
    changes[1:] |= number[order][1:] != number[order][:-1]
    of_row = np.empty(len(order), np.int64)
    of_row[order] = np.cumsum(changes)
    sorted_ranks = rank[order]
    found = {}
    for split in range(len(splits)):
        at = np.searchsorted(sorted_ranks, _split_ranks(np.array([split]), splits)[0])
        found[split] = int(of_row[order[at]]) if at < len(order) else 0
    return Moments(of_row, found)


def cutoffs(
    section: AsOf,
    columns: dict[str, np.ndarray],
    moments_: Moments,
    spec: FeatureSpec,
    splits: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Where the past of each row ends, and which rows' past ends at themselves.

    Returns:
        `[n]` int64 moments, never after the row's own; `[n]` bool, whether the
        section says "row".
    """
    split, follow = columns[fields.SPLIT], splits_follow(spec)
    cut = moments_.of_row.copy()
    at_row = np.zeros(len(cut), bool)
    for index in np.unique(split).tolist():
        here = split == index
        moment = section.moment(splits[index], follow) if index >= 0 else ROW
        if moment == ROW:
            at_row |= here
        elif moment == DAY:
            day = in_units("1d", spec.time_unit)
            cut[here] = cut[here] // day * day
        elif moment == SPLIT:
            cut[here] = np.minimum(cut[here], moments_.starts[index])
        else:
            requests = mixed(columns[USER] ^ mixed(columns[request_name(moment)], 3), 4)
            cut[here] = _first_of_each(requests[here], cut[here])
    return cut, at_row


def earlier(moment: np.ndarray, span: int) -> np.ndarray:
    """Moments less a span of time, held at the earliest there is."""
    span = min(span, np.iinfo(np.int64).max)
    return np.maximum(moment, _EARLIEST + span) - span


def _split_ranks(split: np.ndarray, splits: tuple[str, ...]) -> np.ndarray:
    train = splits.index(TRAIN) if TRAIN in splits else -1
    return np.where(
        split < 0, -1, np.where(split == train, 0, split.astype(np.int64) + 1)
    )


def _first_of_each(groups: np.ndarray, moment: np.ndarray) -> np.ndarray:
    _, inverse = np.unique(groups, return_inverse=True)
    first = np.full(inverse.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, moment)
    return first[inverse]
