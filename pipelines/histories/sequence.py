"""Rows by key and moment, and where the past of each of them ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

_BITS = 32
"""Each word that is sorted packs two numbers of 32 bits."""
_LOW = (1 << _BITS) - 1


@dataclass(frozen=True)
class Sequence:
    """`n` rows by key, then by moment; keys come in the order of their first rows.

    Arrays are in this order.

    Attributes:
        order: `[n]` the row at each place.
        moment: `[n]` int64 moments.
        key_start: `[n]` place where the rows of the key start.
        tie_start: `[n]` place where the rows of the key and moment start.
        run: `[n]` int64: number of the run; consecutive rows of a key that agree
            in their run word are one.
    """

    order: np.ndarray
    moment: np.ndarray
    key_start: np.ndarray
    tie_start: np.ndarray
    run: np.ndarray

    def events(self, allowed: np.ndarray) -> np.ndarray:
        """Places of the events: the first row that is allowed in each run.

        Args:
            allowed: `[n]` bool by row, not by place.
        """
        places = np.flatnonzero(allowed[self.order])
        runs = self.run[places]
        return places[np.diff(runs, prepend=-1) != 0]

    def ends(self, cut: np.ndarray) -> np.ndarray:
        """First place of each row's key whose moment is not before `cut`.

        It is never past `tie_start`: no row of the same moment or later is before it.

        Args:
            cut: `[n]` int64 by place.
        """
        if np.array_equal(cut, self.moment):
            return self.tie_start
        low, high = self.key_start.copy(), self.tie_start.copy()
        open_ = np.flatnonzero(low < high)
        while len(open_):
            middle = (low[open_] + high[open_]) >> 1
            before = self.moment[middle] < cut[open_]
            low[open_[before]] = middle[before] + 1
            high[open_[~before]] = middle[~before]
            open_ = open_[low[open_] < high[open_]]
        return low


@dataclass(frozen=True)
class Events:
    """The events of a sequence, and which of them each row's past holds.

    Attributes:
        places: `[m]` places of the events, ascending.
        before: `[n + 1]` events before each place.
        of_run: `[runs]` place of each run's event; `n` without one.
    """

    places: np.ndarray
    before: np.ndarray
    of_run: np.ndarray

    @classmethod
    def of(cls, sequence: Sequence, allowed: np.ndarray) -> Events:
        """The events among the rows that are allowed."""
        n, places = len(sequence.order), sequence.events(allowed)
        marks = np.zeros(n + 1, np.int64)
        marks[places + 1] = 1
        runs = sequence.run[-1] + 1 if n else 0
        of_run = np.full(runs, n, np.int64)
        of_run[sequence.run[places]] = places
        return cls(places, np.cumsum(marks), of_run)

    def between(
        self,
        sequence: Sequence,
        start: np.ndarray,
        end: np.ndarray,
        not_own: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`[n]` first and past-the-last event at places from `start` to `end`.

        Args:
            sequence: Of the events.
            start: `[n]` places, and
            end: `[n]` places, by place.
            not_own: `[n]` bool: rows that leave the event of their own run out. It
                can only be the last: later runs come after the row.
        """
        first, last = self.before[start], self.before[end]
        own = self.of_run[sequence.run]
        last = last - (not_own & (own >= start) & (own < end))
        return first, np.maximum(first, last)


def sequence(
    keys: np.ndarray, moments: np.ndarray, runs: np.ndarray, ties: np.ndarray
) -> Sequence:
    """Sorts rows.

    Args:
        keys: `[n]` uint64.
        moments: `[n]` int64.
        runs: `[n]` uint64: equal for rows that are one event if nothing of their
            key lies between them.
        ties: `[n]` uint64: sorts rows of one moment by what they hold, so that
            their order in files does not matter; starts with bits of `runs`.
    """
    return _with_runs(_sorted(keys, moments, ties), keys, moments, runs)


def by_other_key(
    whole: Sequence, keys: np.ndarray, moments: np.ndarray, runs: np.ndarray
) -> Sequence:
    """The sequence of keys that each belong to one key of `whole`."""
    words = _key_numbers(keys[whole.order]) << _BITS | np.arange(len(keys))
    places = np.sort(words) & _LOW
    return _with_runs(whole.order[places], keys, moments, runs)


def _sorted(keys: np.ndarray, moments: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Rows by key, moment and tie; keys come in the order of their first rows.

    Few rows agree in key and moment, and a sort of single words, which need not be
    stable, takes a fraction of the time of `np.lexsort`.
    """
    words = _key_numbers(keys) << _BITS | _in_32_bits(moments)
    order = np.argsort(words)
    differ = _changes(words[order])
    tied = ~(differ & np.append(differ[1:], True))
    rows = np.sort(order[tied])
    order[tied] = rows[np.lexsort((ties[rows], words[rows]))]
    return order


def _key_numbers(keys: np.ndarray) -> np.ndarray:
    """`[n]` int64: the number of each key, in the order of their first rows."""
    numbers = pa.array(keys).dictionary_encode().indices
    return numbers.to_numpy().astype(np.int64)


def _in_32_bits(moments: np.ndarray) -> np.ndarray:
    """`[n]` int64 of at most 32 bits that sort as the moments do."""
    if not len(moments):
        return moments
    first, last = int(moments.min()), int(moments.max())
    if last - first <= _LOW:
        return moments - first
    return np.unique(moments, return_inverse=True)[1].reshape(-1)


def _with_runs(
    order: np.ndarray, keys: np.ndarray, moments: np.ndarray, runs: np.ndarray
) -> Sequence:
    keys, moments, runs = keys[order], moments[order], runs[order]
    new_key = _changes(keys)
    places = np.arange(len(order))
    new_run = new_key | _changes(runs)
    return Sequence(
        order=order,
        moment=moments,
        key_start=_last_of(new_key, places),
        tie_start=_last_of(new_key | _changes(moments), places),
        run=np.cumsum(new_run) - 1,
    )


def _changes(values: np.ndarray) -> np.ndarray:
    changes = np.ones(len(values), bool)
    changes[1:] = values[1:] != values[:-1]
    return changes


def _last_of(starts: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(np.where(starts, places, 0))
