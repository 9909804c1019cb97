"""Fields: the typed columns that rows are reduced to once they are checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from hgr_tf.features import Feature, FeatureSpec, HistoryList, Label
from hgr_tf.features.fingerprint import text_fingerprints
from hgr_tf.features.kind import Dtype
from hgr_tf.features.past import request_columns
from hgr_tf.features.spec import TableOwner

SPLIT = "__split__"
"""int8 column of checked rows: index of the row's split."""

PAST = "past"
"""Where the fields of features lie that are made of earlier rows."""

EARLIER = -2
"""Split of rows that are only there for the past of others."""


_TYPES = {"string": pa.string(), "int64": pa.int64(), "float32": pa.float32()}


class Field(NamedTuple):
    """A source column read as one type; two features may share it.

    Attributes:
        delimiter: Set when a row holds a list of values.
        table: Owner of the table that it comes from; empty for the log.
            `PAST` where it is made of earlier rows.
    """

    column: str
    dtype: Dtype
    delimiter: str | None = None
    table: str = ""

    @property
    def name(self) -> str:
        """Name of the column that holds it."""
        suffix = "" if self.delimiter is None else f"[{self.delimiter}]"
        return f"{self.table}/{self.dtype}{suffix}:{self.column}"


def feature_field(feature: Feature) -> Field:
    """The field that a feature is made of."""
    transform = feature.transform
    if feature.is_past:
        return Field(feature.column, transform.dtype, table=PAST)
    table = feature.owner if feature.from_table else ""
    return Field(feature.column, transform.dtype, transform.list_delimiter, table)


def id_field(spec: FeatureSpec, owner: TableOwner) -> Field:
    """The log's user or item id."""
    column = spec.user_id if owner == "user" else spec.item_id
    return Field(column, spec.id_dtype(owner))


def key_field(spec: FeatureSpec, owner: TableOwner) -> Field:
    """The key of a table, of the type of the id that it equals."""
    return Field(spec.tables[owner].key, spec.id_dtype(owner), table=owner)


def label_field(label: Label) -> Field:
    """A raw label."""
    return Field(label.column, "float32")


def weight_fields(spec: FeatureSpec) -> dict[str, Field]:
    """The weights that the log gives, by their keys in an example."""
    columns = spec.weight_keys().items()
    return {key: Field(column, "float32") for key, column in columns if column}


def time_field(spec: FeatureSpec) -> Field | None:
    """The time, if the spec names one."""
    return Field(spec.time, "int64") if spec.time else None


def order_field(spec: FeatureSpec) -> Field | None:
    """The order of a user's rows, if the spec names one; null where absent."""
    return Field(spec.order, "int64") if spec.order else None


def moment_field(spec: FeatureSpec) -> Field:
    """What orders rows: the time, or the order within a split.

    Raises:
        ValueError: The spec names neither.
    """
    field = time_field(spec) or order_field(spec)
    if field is None:
        raise ValueError(f"spec {spec.name!r} names neither `time` nor `order`")
    return field


def request_field(column: str) -> Field:
    """A column that names requests."""
    return Field(column, "string")


def log_fields(spec: FeatureSpec) -> list[Field]:
    """Every field of the log, each once."""
    fields = [id_field(spec, "user"), id_field(spec, "item")]
    fields += map(label_field, spec.all_labels.values())
    fields += weight_fields(spec).values()
    fields += [f for f in (time_field(spec),) if f]
    fields += [feature_field(f) for f in spec.given_features() if not f.from_table]
    fields += [f for f in (order_field(spec),) if f]
    fields += [request_field(column) for column in request_columns(spec)]
    return list(dict.fromkeys(fields))


def past_fields(spec: FeatureSpec) -> pa.Schema:
    """Arrow schema of the fields made of earlier rows, as they lie in rows."""
    return pa.schema(
        [(feature_field(f).name, _past_type(f)) for f in spec.features() if f.is_past]
    )


def _past_type(feature: Feature) -> pa.DataType:
    if isinstance(feature.transform, HistoryList):
        return pa.list_(pa.dictionary(pa.int32(), feature.transform.event_type))
    return pa.float32()


def table_fields(spec: FeatureSpec, owner: TableOwner) -> list[Field]:
    """Every field of the owner's table, each once; the key comes first."""
    fields = [feature_field(f) for f in spec.given_features(owner) if f.from_table]
    return list(dict.fromkeys([key_field(spec, owner), *fields]))


def arrow_fields(fields: list[Field]) -> pa.Schema:
    """Arrow schema of the fields."""
    return pa.schema(
        [
            (
                f.name,
                _TYPES[f.dtype] if f.delimiter is None else pa.list_(_TYPES[f.dtype]),
            )
            for f in fields
        ]
    )


def id_numbers(rows: pa.Table, spec: FeatureSpec, owner: TableOwner) -> np.ndarray:
    """`[n]` int64: integer ids as they are, others by their fingerprint."""
    return numbers_of_ids(rows[id_field(spec, owner).name].combine_chunks())


def numbers_of_ids(ids: pa.Array) -> np.ndarray:
    """`[n]` int64 of raw ids, as prepared rows hold them."""
    if pa.types.is_integer(ids.type):
        return ids.to_numpy()
    return text_fingerprints(ids).view(np.int64)
