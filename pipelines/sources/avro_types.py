"""What the values of Avro's schemas mean, logical types included."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.kernels.value_texts import decimal_text
from hgr_tf.pipelines.sources.base import Header

_TIMES = {
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
}
_BASES: dict[str, tuple[str, ...]] = dict.fromkeys(_TIMES, ("long",))
_BASES |= {"date": ("int",), "time-millis": ("int",)}
_BASES |= {"decimal": ("bytes", "fixed"), "uuid": ("string", "fixed")}
_WITHOUT_TEXT = {"duration", "big-decimal"}
Schema = str | list | dict[str, Any]
"""A schema of Avro, as its JSON is: a name, a union, or what is defined."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Column(NamedTuple):
    """How the values that fastavro gives for a column are read.

    Attributes:
        type: Arrow's type of the values where Python's does not say it.
        convert: Makes what a value means of what it is stored as.
        refused: Why its values have neither text nor number.
    """

    type: pa.DataType | None = None
    convert: Callable[[Any], Any] | None = None
    refused: str | None = None

    def typed(self, array: pa.Array) -> pa.Array:
        """An array of the values with their own type, or as it is."""
        return array if self.type is None else _cast(array, self.type)


def header(schema: Schema) -> Header:
    """Names of a file's columns, and why some cannot be read.

    Raises:
        ValueError: The schema is no record.
    """
    refused = {name: c.refused for name, c in columns(schema).items() if c.refused}
    return Header([field["name"] for field in _fields(schema)], refused)


def columns(schema: Schema) -> dict[str, Column]:
    """The columns of a record, by name."""
    named: dict[str, dict] = {}
    _collect_named(schema, named)
    return {f["name"]: _column(f["type"], named) for f in _fields(schema)}


def without_logical_types(schema: Schema) -> Schema:
    """The schema of the same bytes, read as what they are stored as."""
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {
            key: without_logical_types(part) if key != "symbols" else part
            for key, part in schema.items()
            if key not in ("logicalType", "default")
        }
    return schema


def _fields(schema: Schema) -> list[dict]:
    if not (isinstance(schema, dict) and "fields" in schema):
        raise ValueError(f"its schema must be a record, got {json.dumps(schema)}")
    return schema["fields"]


def _collect_named(schema: Schema, named: dict[str, dict]) -> None:
    if isinstance(schema, dict):
        if isinstance(schema.get("name"), str) and "type" in schema:
            named[schema["name"]] = schema
        for part in schema.values():
            _collect_named(part, named)
    elif isinstance(schema, list):
        for part in schema:
            _collect_named(part, named)


def _column(schema: Schema, named: dict[str, dict]) -> Column:
    if isinstance(schema, str):
        if schema == "float":
            return Column(pa.float32())
        schema = named.get(schema, schema)
        return _column(schema, named) if isinstance(schema, dict) else Column()
    if isinstance(schema, list):
        return _union([kind for kind in schema if kind != "null"], named)
    if schema["type"] == "array":
        return _array(_column(schema["items"], named))
    base, logical = schema["type"], schema.get("logicalType")
    if isinstance(base, dict | list) or base == "float":
        return _column(base, named)
    if logical in _WITHOUT_TEXT:
        return Column(refused=f"of the logical type {logical!r}")
    if logical is None or base not in _BASES.get(logical, ()):
        return Column()  # Avro has readers ignore what it does not know
    if logical in _TIMES:
        return Column(_TIMES[logical])
    if logical == "decimal":
        return Column(convert=_decimals(schema.get("scale", 0)))
    if base == "fixed":
        is_uuid = schema.get("size") == 16
        return Column(convert=_or_none(_uuid_text) if is_uuid else None)
    return Column(convert=_or_none(_lower_uuid))


def _union(kinds: list, named: dict[str, dict]) -> Column:
    if len(kinds) == 1:
        return _column(kinds[0], named)
    branches = [_column(kind, named) for kind in kinds]
    if refused := next((b.refused for b in branches if b.refused), None):
        return Column(refused=refused)
    if any(b.convert or (b.type not in (None, pa.float32())) for b in branches):
        return Column(refused=f"a union of {json.dumps(kinds)}")
    if "float" in kinds and "double" not in kinds:
        return Column(convert=_float32_as_double)
    return Column()


def _array(element: Column) -> Column:
    convert = element.convert
    return Column(
        type=None if element.type is None else pa.list_(element.type),
        convert=None if convert is None else _or_none(lambda v: list(map(convert, v))),
        refused=element.refused,
    )


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        if not pa.types.is_list(array.type):
            return array
        elements = _cast(array.values, kind.value_type)
        return pa.ListArray.from_arrays(array.offsets, elements, mask=array.is_null())
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return array.cast(kind) if pa.types.is_null(array.type) else array
    if kind.bit_width == 32 and pa.types.is_temporal(kind):
        array = array.cast(pa.int32())
    return array.cast(kind)


def _or_none(convert: Callable) -> Callable:
    return lambda value: None if value is None else convert(value)


def _decimals(scale: int) -> Callable[[bytes | None], str | None]:
    def convert(stored: bytes) -> str:
        number = int.from_bytes(stored, "big", signed=True)
        digits = tuple(map(int, str(abs(number))))
        return decimal_text(Decimal((number < 0, digits, -scale)))

    return _or_none(convert)


def _uuid_text(stored: bytes) -> str:
    return str(UUID(bytes=stored))


def _lower_uuid(text: str) -> str:
    return text.lower() if _UUID.fullmatch(text) else text


def _float32_as_double(value: object) -> object:
    """The double whose fewest digits are those of the single it came from."""
    return float(str(np.float32(value))) if isinstance(value, float) else value
