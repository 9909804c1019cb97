"""Fields: the typed columns that rows are reduced to once they are checked."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from hgr_tf.features import Feature, FeatureSpec
from hgr_tf.features.fingerprint import text_fingerprints
from hgr_tf.features.kind import Dtype

SPLIT = "__split__"
"""int8 column of checked rows: index of the row's split."""


class Field(NamedTuple):
    """A source column read as one type; two features may share it.

    Attributes:
        delimiter: Set when a row holds a list of values.
        table: Owner of the table that it comes from; empty for the log.
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
    table = feature.owner if feature.from_table else ""
    return Field(feature.column, transform.dtype, transform.list_delimiter, table)


def id_field(spec: FeatureSpec, owner: Literal["user", "item"]) -> Field:
    """The log's user or item id."""
    column = spec.user_id if owner == "user" else spec.item_id
    return Field(column, spec.id_dtype(owner))


def key_field(spec: FeatureSpec, owner: Literal["user", "item"]) -> Field:
    """The key of a table, of the type of the id that it equals."""
    return Field(spec.tables[owner].key, spec.id_dtype(owner), table=owner)


def label_field(spec: FeatureSpec) -> Field:
    """The raw label."""
    return Field(spec.label.column, "float32")


def weight_field(spec: FeatureSpec) -> Field | None:
    """The sample weight, if the spec names one."""
    return Field(spec.weight, "float32") if spec.weight else None


def time_field(spec: FeatureSpec) -> Field | None:
    """The time, if the spec names one."""
    return Field(spec.time, "int64") if spec.time else None


def log_fields(spec: FeatureSpec) -> list[Field]:
    """Every field of the log, each once."""
    fields = [id_field(spec, "user"), id_field(spec, "item"), label_field(spec)]
    fields += [f for f in (weight_field(spec), time_field(spec)) if f]
    fields += [feature_field(f) for f in spec.features() if not f.from_table]
    return list(dict.fromkeys(fields))


def table_fields(spec: FeatureSpec, owner: Literal["user", "item"]) -> list[Field]:
    """Every field of the owner's table, each once; the key comes first."""
    fields = [feature_field(f) for f in spec.features(owner) if f.from_table]
    return list(dict.fromkeys([key_field(spec, owner), *fields]))


def arrow_fields(fields: list[Field]) -> pa.Schema:
    """Arrow schema of the fields."""
    types = {"string": pa.string(), "int64": pa.int64(), "float32": pa.float32()}
    return pa.schema(
        [
            (
                f.name,
                types[f.dtype] if f.delimiter is None else pa.list_(types[f.dtype]),
            )
            for f in fields
        ]
    )


def id_numbers(rows: pa.Table, spec: FeatureSpec, owner: str) -> np.ndarray:
    """`[n]` int64: integer ids as they are, others by their fingerprint."""
    column = rows[id_field(spec, owner).name].combine_chunks()
    if pa.types.is_integer(column.type):
        return column.to_numpy()
    return text_fingerprints(column).view(np.int64)
