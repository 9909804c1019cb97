"""Timeline: of each row what histories and counters need, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import FeatureSpec
from hgr_tf.features.fingerprint import text_fingerprints
from hgr_tf.features.histories import Value
from hgr_tf.features.history_list import texts_of_lists
from hgr_tf.features.past import key_values, request_columns
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.rows.fields import (
    SPLIT,
    feature_field,
    id_field,
    moment_field,
    request_field,
)
from hgr_tf.pipelines.rows.targets import target_of
from hgr_tf.pipelines.tables.joining import LOG, Joined, home_of

USER, ITEM, TIE, MOMENT = "user", "item", "tie", "moment"
_LOW = np.uint64(0xFFFF_FFFF)


def timeline(joined: Joined, spec: FeatureSpec) -> pa.Table:
    """The timeline of checked rows.

    Returns:
        Columns USER and ITEM, uint64 words; TIE, a uint64 word that sorts rows of
        one moment; MOMENT, int64, null where an input lacks the order; SPLIT; a
        `target_name` column of each label; and as far as the spec asks for them
        `request_name`, `key_name`, `where_name` and `value_name` columns.
    """
    rows = joined.rows
    targets = {
        target_name(name, spec): target_of(rows, label)
        for name, label in spec.all_labels.items()
    }
    columns = {
        USER: _words(rows[id_field(spec, "user").name]),
        ITEM: _words(rows[id_field(spec, "item").name]),
        MOMENT: rows[moment_field(spec).name],
        SPLIT: rows[SPLIT],
        **targets,
    }
    for column in request_columns(spec):
        columns[request_name(column)] = _words(rows[request_field(column).name])
    for name, history in spec.history.items():
        columns[where_name(name)] = _allowed(history.where, joined, spec, targets)
        for listed in history.listed:
            columns[value_name(listed)] = texts_of_lists(_values(joined, spec, listed))
    for counter in spec.counters.values():
        for key in counter.by:
            if key not in (spec.user_id, spec.item_id):
                values = key_values(key, _values(joined, spec, key), spec)
                columns[key_name(key)] = _words(texts_of_lists(values))
    columns[TIE] = _ties(columns, spec)
    return pa.table(columns)


def target_name(label: str, spec: FeatureSpec) -> str:
    """Column of the targets of a label."""
    return f"target/{spec.label_name(label)}"


def where_name(history: str) -> str:
    """Column that says which rows a history allows."""
    return f"where/{history}"


def is_defined(
    label: str, columns: Mapping[str, np.ndarray], spec: FeatureSpec
) -> np.ndarray:
    """`[n]` bool: where a label is defined.

    Args:
        label: Its name.
        columns: Holds the `target_name` column of each label.
        spec: The spec.
    """
    given = spec.label_of(label).given
    if given is None:
        return np.ones(len(columns[target_name(label, spec)]), bool)
    return columns[target_name(given, spec)] > 0


def value_name(feature: str) -> str:
    """Column of a feature's values; lists of them are one text."""
    return f"value/{feature}"


def key_name(feature: str) -> str:
    """Column of the words of a key; 0 where it is missing."""
    return f"key/{feature}"


def request_name(column: str) -> str:
    """Column of the words of requests."""
    return f"request/{column}"


def _values(joined: Joined, spec: FeatureSpec, name: str) -> pa.Array:
    feature = spec.feature(name)
    home, column = home_of(feature, joined), feature_field(feature).name
    if home == LOG:
        return joined.rows[column].combine_chunks()
    values = joined.tables[home].rows[column].combine_chunks()
    return texts_of_lists(values).take(pa.array(joined.positions[home]))


def _words(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_integer(values.type):
        words = mixed(pc.fill_null(values, 0).to_numpy(False).view(np.uint64), 2)
    else:
        words = text_fingerprints(pc.fill_null(values.cast(pa.string()), ""))
    return np.where(values.is_valid().to_numpy(False), words, np.uint64(0))


def _allowed(
    where: Mapping[str, tuple[Value, ...]],
    joined: Joined,
    spec: FeatureSpec,
    targets: Mapping[str, np.ndarray],
) -> np.ndarray:
    allowed = np.ones(joined.rows.num_rows, bool)
    for name, wanted in where.items():
        if spec.label_name(name):
            values = targets[target_name(name, spec)]
            allowed &= np.isin(values, np.array(wanted, np.float32))
            allowed &= is_defined(name, targets, spec)
            continue
        values = _values(joined, spec, name)
        value_set = pa.array([_typed(w, values.type) for w in wanted], values.type)
        allowed &= pc.is_in(values, value_set=value_set).to_numpy(False)
    return allowed


def _typed(value: Value, kind: pa.DataType) -> Value:
    if pa.types.is_string(kind):
        return str(value)
    return int(value) if pa.types.is_integer(kind) else float(value)


def _ties(columns: dict, spec: FeatureSpec) -> np.ndarray:
    """By item first, then by all that an event may show."""
    first, *others = (columns[target_name(name, spec)] for name in spec.all_labels)
    content = mixed(_bits(first), 0)
    for target in others:
        content = mixed(content ^ _bits(target), 1)
    for feature in spec.given_features():
        name = value_name(feature.name)
        if name in columns and not feature.from_table:
            content = mixed(content ^ _words(columns[name]), 1)
    return (columns[ITEM] & ~_LOW) | (content & _LOW)


def _bits(target: np.ndarray) -> np.ndarray:
    # Adding 0 turns -0.0, which equals 0.0, into it.
    return (target + np.float32(0)).view(np.uint32).astype(np.uint64)
