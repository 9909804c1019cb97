"""Encoded columns of whole batches, for outputs that hold columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hgr_tf.features import ITEM, TIME, USER, FeatureEncoding
from hgr_tf.pipelines.encoding.feature_encoder import FeatureEncoder
from hgr_tf.pipelines.rows.fields import (
    arrow_fields,
    feature_field,
    id_numbers,
    log_fields,
    past_fields,
    time_field,
)
from hgr_tf.pipelines.rows.targets import Targets, targets_of
from hgr_tf.pipelines.tables.joining import LOG, Joined, home_of, values_of


class ColumnEncoder:
    """Encodes batches into tables: a column for each input, and the reserved ones."""

    def __init__(self, encoding: FeatureEncoding):
        self._spec = encoding.spec
        self._features = [FeatureEncoder(f, encoding) for f in encoding.spec.features()]
        self._side: dict[tuple[str, str], dict[str, pa.Array]] = {}

    def encode(self, joined: Joined, targets: Targets) -> pa.Table:
        """A table of `n` rows; features in the order of the spec."""
        columns: dict[str, pa.Array] = {}
        for encoder in self._features:
            columns |= self._columns(encoder, joined)
        columns |= _arrays(targets.labels)
        columns[USER] = pa.array(id_numbers(joined.rows, self._spec, "user"))
        columns[ITEM] = pa.array(id_numbers(joined.rows, self._spec, "item"))
        columns |= _arrays(targets.weights)
        if time := time_field(self._spec):
            columns[TIME] = joined.rows[time.name].combine_chunks()
        return pa.table(columns)

    def empty(self) -> pa.Table:
        """The table of no rows."""
        rows = arrow_fields(log_fields(self._spec)).empty_table()
        for feature in self._spec.features():
            if feature.from_table:
                field = feature_field(feature)
                (column,) = arrow_fields([field]).empty_table().columns
                rows = rows.append_column(field.name, column)
        for past in past_fields(self._spec):
            rows = rows.append_column(past, pa.array([], past.type))
        return self.encode(Joined(rows, {}, {}), targets_of(rows, self._spec))

    def _columns(self, encoder: FeatureEncoder, joined: Joined) -> dict[str, pa.Array]:
        home = home_of(encoder.feature, joined)
        if home == LOG:
            return encoder(values_of(encoder.feature, joined, self._spec))
        table, name = joined.tables[home], feature_field(encoder.feature).name
        key = (encoder.feature.name, table.digest)
        if key not in self._side:
            self._side[key] = encoder(table.rows[name].combine_chunks())
        at = pa.array(joined.positions[home])
        return {name: array.take(at) for name, array in self._side[key].items()}


def _arrays(columns: dict[str, np.ndarray]) -> dict[str, pa.Array]:
    return {name: pa.array(values) for name, values in columns.items()}
