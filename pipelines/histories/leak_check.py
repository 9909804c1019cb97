"""The leak check: nothing of a row's moment or later may move its features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hgr_tf.features.past import sees_labels
from hgr_tf.features.spec import FeatureSpec
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.histories.past import Columns, Lists, Past
from hgr_tf.pipelines.histories.timeline import target_name, where_name

Compute = Callable[[Columns], Past]


def check_no_leak(
    compute: Compute,
    columns: Columns,
    of_row: np.ndarray,
    keys: np.ndarray,
    shuffled: str,
    spec: FeatureSpec,
    generator: np.random.Generator,
) -> None:
    """Computes the past again with another future.

    For each key a moment is drawn. Labels of rows from that moment on are turned and
    shuffled: no feature of rows up to it may move. Then their items (or users,
    where items are keys) are shuffled too: no feature of rows before it may move.

    Args:
        compute: Gives the past of rows.
        columns: `[n]` columns of their timeline.
        of_row: `[n]` their moments.
        keys: `[n]` uint64: rows with other keys see nothing of each other.
        shuffled: The column to shuffle, which is not part of the keys.
        spec: The spec.
        generator: Draws the moments.

    Raises:
        PrepareError: A feature moved; it is named.
    """
    _, inverse = np.unique(keys, return_inverse=True)
    order = np.lexsort((of_row, inverse))
    starts = np.flatnonzero(np.diff(inverse[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    drawn = order[starts + generator.integers(0, sizes)] if len(order) else order
    moment = of_row[drawn][inverse]
    later = of_row >= moment
    before = compute(columns)
    labels = _other_labels(columns, later, spec, generator)
    _compare(before, compute(labels), of_row <= moment)
    events = {**labels, shuffled: _shuffled(columns[shuffled], later, generator)}
    _compare(before, compute(events), of_row < moment)


def _other_labels(
    columns: Columns,
    later: np.ndarray,
    spec: FeatureSpec,
    generator: np.random.Generator,
) -> Columns:
    changed = dict(columns)
    for label in spec.all_labels:
        name = target_name(label, spec)
        turned = np.where(columns[name] > 0, 0, 1).astype(np.float32)
        changed[name] = columns[name].copy()
        changed[name][later] = generator.permutation(turned[later])
    for name, history in spec.history.items():
        if sees_labels(history, spec):
            allowed = columns[where_name(name)].copy()
            allowed[later] = ~allowed[later]
            changed[where_name(name)] = allowed
    return changed


def _shuffled(
    values: np.ndarray, later: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    values = values.copy()
    values[later] = generator.permutation(values[later])
    return values


def _compare(one: Past, other: Past, held: np.ndarray) -> None:
    for name, numbers in one.numbers.items():
        _fail_if(name, numbers != other.numbers[name], held)
    for name, lists in one.histories.items():
        _fail_if(name, _moved(lists, other.histories[name]), held)


def _moved(one: Lists, other: Lists) -> np.ndarray:
    lengths = one.end - one.start
    moved = (lengths != other.end - other.start) | (one.age != other.age)
    same = np.flatnonzero(~moved)
    counts = lengths[same]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    events = [
        lists.rows[np.repeat(lists.start[same], counts) + within]
        for lists in (one, other)
    ]
    parents = np.repeat(same, counts)
    moved[parents[events[0] != events[1]]] = True
    return moved


def _fail_if(name: str, moved: np.ndarray, held: np.ndarray) -> None:
    count = int((moved & held).sum())
    if count:
        raise PrepareError(
            f"leak check: {name!r} moved in {count:,} rows when only rows of their "
            "moment or later changed; this is a fault of hgr_tf, and the data must "
            "not be trained on"
        )
