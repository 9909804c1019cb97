"""The past of each row of a partition: its histories and counters."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hgr_tf.features import Counter, FeatureSpec, History
from hgr_tf.features.durations import in_units
from hgr_tf.features.past import counter_feature, is_of_user, sees_labels
from hgr_tf.pipelines.histories.cutoffs import Moments, cutoffs, earlier
from hgr_tf.pipelines.histories.sequence import (
    Events,
    Sequence,
    by_other_key,
    sequence,
)
from hgr_tf.pipelines.histories.timeline import (
    ITEM,
    TIE,
    USER,
    is_defined,
    key_name,
    target_name,
    where_name,
)
from hgr_tf.pipelines.kernels.randomness import mixed

Columns = dict[str, np.ndarray]
Counts = dict[tuple[int | str, str], np.ndarray]
"""Numbers of rows by (window, statistic)."""


@dataclass(frozen=True)
class Lists:
    """The events of each row's history, oldest first: a slice of `rows` a row.

    Attributes:
        rows: `[m]` the row of each event; those of a user lie together by time.
        start: `[n]` first event of each row's history, and
        end: `[n]` the one past its last.
        age: `[n]` int64: from the newest event to where the past ends; -1 without
            an event.
    """

    rows: np.ndarray
    start: np.ndarray
    end: np.ndarray
    age: np.ndarray


@dataclass(frozen=True)
class Past:
    """Histories by name, and `[n]` float32 numbers by name of feature."""

    histories: dict[str, Lists] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)


def past_of_users(
    columns: Columns, moments: Moments, spec: FeatureSpec, splits: tuple[str, ...]
) -> Past:
    """Histories, and the counters whose keys hold the user.

    Args:
        columns: `[n]` columns of the timeline, all rows of each user together.
        moments: Of the rows.
        spec: The spec.
        splits: Names of the splits.
    """
    by_user = sequence(columns[USER], moments.of_row, columns[ITEM], columns[TIE])
    past = Past()
    for name, history in spec.history.items():
        ends = cutoffs(history, columns, moments, spec, splits)
        allowed = columns[where_name(name)]
        past.histories[name] = _lists(by_user, history, *ends, allowed, spec)
    for name, counter in spec.counters.items():
        if is_of_user(counter, spec):
            keys, known = _keys(counter, columns, spec)
            of_key = by_user
            if len(counter.by) > 1:
                of_key = by_other_key(by_user, keys, moments.of_row, columns[ITEM])
            ends = cutoffs(counter, columns, moments, spec, splits)
            numbers = count(of_key, counter, *ends, columns, known, spec)
            past.numbers.update(_named(name, numbers))
    return past


def past_of_key(
    name: str,
    columns: Columns,
    moments: Moments,
    spec: FeatureSpec,
    splits: tuple[str, ...],
) -> Past:
    """One counter, all rows of each of its keys together."""
    counter = spec.counters[name]
    keys, known = _keys(counter, columns, spec)
    of_key = sequence(keys, moments.of_row, *runs_and_ties(columns))
    ends = cutoffs(counter, columns, moments, spec, splits)
    numbers = count(of_key, counter, *ends, columns, known, spec)
    return Past(numbers=_named(name, numbers))


def runs_and_ties(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """`[n]` uint64 words of runs and ties where rows of many users meet."""
    runs = mixed(columns[USER] ^ mixed(columns[ITEM], 5), 6)
    return runs, (runs & ~_LOW) | (columns[TIE] & _LOW)


def key_words(counter: Counter, columns: Columns, spec: FeatureSpec) -> np.ndarray:
    """`[n]` uint64: the counter's key of each row."""
    return _keys(counter, columns, spec)[0]


def count(
    of_key: Sequence,
    counter: Counter,
    cut: np.ndarray,
    at_row: np.ndarray,
    columns: Columns,
    known: np.ndarray,
    spec: FeatureSpec,
) -> Counts:
    """`[n]` float32 by (window, statistic).

    Args:
        of_key: The rows by key.
        counter: What to count.
        cut: `[n]` where the past of each row ends, by row like the others.
        at_row: `[n]` whether that is the row itself.
        columns: `[n]` columns of the timeline, with the targets of the labels.
        known: `[n]` whether a row has a key; others have no past.
        spec: The spec.
    """
    order, unit = of_key.order, spec.time_unit
    cut, not_own = cut[order], at_row[order]
    exposed = Events.of(of_key, known & is_defined(counter.of, columns, spec))
    positive = columns[target_name(counter.of, spec)] > 0
    clicked = Events.of(of_key, known & positive)
    delay = in_units(counter.delay, unit)
    labelled = earlier(cut, delay + in_units(counter.label_delay, unit))
    # Where a label is defined is itself known from a label.
    delayed = labelled if spec.label_of(counter.of).given else earlier(cut, delay)
    found: Counts = {}
    for window in counter.windows:

        def counted(
            events: Events, end: np.ndarray, window: int | str = window
        ) -> np.ndarray:
            start = of_key.key_start
            if window != "all":
                start = of_key.ends(earlier(end, in_units(window, unit)))
            first, last = events.between(of_key, start, of_key.ends(end), not_own)
            numbers = np.empty(len(order), np.float64)
            numbers[order] = np.where(known[order], last - first, 0)
            return numbers

        positives = None
        for statistic in counter.statistics:
            if statistic == "exposures":
                found[window, statistic] = counted(exposed, delayed)
                continue
            if positives is None:
                positives = counted(clicked, labelled)
            if statistic == "positives":
                found[window, statistic] = positives
                continue
            seen = counted(exposed, labelled)
            rate = positives + counter.strength * counter.prior
            found[window, statistic] = rate / (seen + counter.strength)
    return {key: numbers.astype(np.float32) for key, numbers in found.items()}


def _lists(
    by_user: Sequence,
    history: History,
    cut: np.ndarray,
    at_row: np.ndarray,
    allowed: np.ndarray,
    spec: FeatureSpec,
) -> Lists:
    order = by_user.order
    lag = in_units(history.delay, spec.time_unit)
    if sees_labels(history, spec):
        lag += in_units(history.label_delay, spec.time_unit)
    cut = earlier(cut[order], lag)
    events = Events.of(by_user, allowed)
    first, last = events.between(
        by_user, by_user.key_start, by_user.ends(cut), at_row[order]
    )
    some = last > first
    ages = np.full(len(order), -1, np.int64)
    ages[some] = cut[some] - by_user.moment[events.places[last[some] - 1]]
    start, end, age = (np.empty(len(order), np.int64) for _ in range(3))
    start[order] = np.maximum(first, last - history.length)
    end[order], age[order] = last, ages
    return Lists(order[events.places], start, end, age)


def _keys(
    counter: Counter, columns: Columns, spec: FeatureSpec
) -> tuple[np.ndarray, np.ndarray]:
    """The words of a counter's key, and which rows have one."""
    words = [columns[_column(key, spec)] for key in counter.by]
    known = np.logical_and.reduce([w != 0 for w in words])
    if len(words) == 1:
        return words[0], known
    return mixed(words[0] ^ mixed(words[1], 7), 8), known


def _column(key: str, spec: FeatureSpec) -> str:
    return {spec.user_id: USER, spec.item_id: ITEM}.get(key) or key_name(key)


def _named(name: str, numbers: Counts) -> dict[str, np.ndarray]:
    return {counter_feature(name, *key): found for key, found in numbers.items()}


_LOW = np.uint64(0xFFFF_FFFF)
