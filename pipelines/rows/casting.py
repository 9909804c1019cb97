"""Raw columns of any Arrow type become typed fields; bad values are marked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.pipelines.kernels.extension_types import plain
from hgr_tf.pipelines.kernels.value_texts import float_texts, value_texts
from hgr_tf.pipelines.reasons import (
    NON_FINITE,
    NOT_INTEGER,
    NOT_LIST,
    NOT_NUMBER,
    NOT_SCALAR,
)
from hgr_tf.pipelines.rows.fields import Field

Parser = Callable[[pa.Array], pa.Array]
"""Makes values of texts that a pattern matched."""

_PLAIN_INTEGER = r"^-?([0-9]{1,18}|[0-8][0-9]{18})$"
_INTEGER = r"^[+-]?([0-9]{1,18}|[0-8][0-9]{18})(\.0*)?$"
_LARGEST_INTEGERS = r"^[+-]?9[0-9]{18}(\.0*)?$"  # some fit in 64 bits
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NON_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
_BOOLEAN = r"(?i)^(true|false)$"
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


Bad = list[tuple[str, np.ndarray]]
"""(reason, mask of the rows) of each kind of bad value that came."""


class Cast(NamedTuple):
    """A typed column.

    Attributes:
        values: Null where missing or bad.
        bad: What is wrong with the others.
    """

    values: pa.Array
    bad: Bad


def cast(array: pa.Array, field: Field, missing: tuple[str, ...]) -> Cast:
    """Reads a raw column as a field.

    Args:
        array: Array of any type. Bytes must be UTF-8 text.
        field: Type wanted: string, int64 or float32, or lists of the first two.
        missing: Texts that mean "missing", beside null and "".

    Returns:
        The values and what is wrong with the others.
    """
    array = plain(array)
    if field.delimiter is not None:
        return _cast_lists(array, field, missing)
    if pa.types.is_nested(array.type):
        values = pa.nulls(len(array), _ARROW[field.dtype])
        return Cast(values, [(NOT_SCALAR, array.is_valid().to_numpy(False))])
    return _CASTS[field.dtype](array, missing)


def _cast_string(array: pa.Array, missing: tuple[str, ...]) -> Cast:
    if pa.types.is_floating(array.type):
        return _strings_of_floats(array, missing)
    texts, bad = value_texts(array)
    return Cast(_without(texts, ("", *missing)), bad)


def _strings_of_floats(array: pa.Array, missing: tuple[str, ...]) -> Cast:
    floats = _nan_to_missing(array, missing)
    finite = pc.fill_null(pc.is_finite(floats), True)
    kept = pc.if_else(finite, floats, pa.scalar(None, floats.type))
    texts = _without(float_texts(kept), missing)
    return Cast(texts, _marked(NON_FINITE, ~finite.to_numpy(False)))


def _without(texts: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    is_missing = pc.is_in(texts, pa.array(missing, pa.string()))
    if not pc.any(is_missing).as_py():
        return texts
    return pc.if_else(is_missing, pa.scalar(None, texts.type), texts)


def _cast_int64(array: pa.Array, missing: tuple[str, ...]) -> Cast:
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        if pa.types.is_uint64(kind):
            return _cast_int64(array.cast(pa.string()), missing)
        return Cast(_without_numbers(array.cast(pa.int64()), missing), [])
    if pa.types.is_floating(kind):
        return _integers_of_floats(array.cast(pa.float64()), missing)
    text = _cast_string(array, missing)
    values, bad = _integers_of_texts(text.values)
    return Cast(_without_numbers(values, missing), text.bad + _marked(NOT_INTEGER, bad))


def _integers_of_texts(texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
    return _parse(
        texts,
        quick=_PLAIN_INTEGER,
        patterns=(
            (_INTEGER, _parse_integers),
            (_LARGEST_INTEGERS, _parse_largest_integers),
            (_BOOLEAN, _parse_booleans),
        ),
        convert=lambda t: t.cast(pa.int64()),
        type_=pa.int64(),
    )


def _without_numbers(values: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    # A missing text that is a number covers every spelling of it.
    texts = [text for text in missing if re.match(_NUMBER, text)]
    if not texts:
        return values
    is_whole = pa.types.is_integer(values.type)
    parse = _integers_of_texts if is_whole else _floats_of_texts
    numbers, _ = parse(pa.array(texts, pa.string()))
    is_missing = pc.is_in(values, numbers.drop_null())
    return pc.if_else(is_missing, pa.scalar(None, values.type), values)


def _integers_of_floats(array: pa.Array, missing: tuple[str, ...]) -> Cast:
    floats = _nan_to_missing(array, missing)
    numbers = floats.fill_null(0).to_numpy(False)
    with np.errstate(invalid="ignore"):
        good = (np.floor(numbers) == numbers) & (np.abs(numbers) < 2.0**63)
    valid = floats.is_valid().to_numpy(False)
    integers = np.where(good, numbers, 0).astype(np.int64)
    values = pa.array(integers, pa.int64(), mask=~(valid & good))
    return Cast(_without_numbers(values, missing), _marked(NOT_INTEGER, valid & ~good))


def _nan_to_missing(array: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    # "nan" among the missing texts covers the NaN of typed columns too.
    if "nan" not in {text.lower() for text in missing}:
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)


def _parse_integers(texts: pa.Array) -> pa.Array:
    return _digits(texts).cast(pa.int64())


def _parse_largest_integers(texts: pa.Array) -> pa.Array:
    numbers = [int(text) for text in _digits(texts).to_pylist()]
    fitting = [n if -(2**63) <= n < 2**63 else None for n in numbers]
    return pa.array(fitting, pa.int64())


def _parse_booleans(texts: pa.Array) -> pa.Array:
    return texts.cast(pa.bool_())


def _digits(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, r"^\+|\.0*$", "")


def _cast_float32(array: pa.Array, missing: tuple[str, ...]) -> Cast:
    kind = array.type
    bad: Bad = []
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        numbers = array.cast(pa.float64(), safe=False)
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = _nan_to_missing(array.cast(pa.float64()), missing)
    else:
        text = _cast_string(array, missing)
        numbers, wrong = _floats_of_texts(text.values)
        bad = text.bad + _marked(NOT_NUMBER, wrong)
    numbers = _without_numbers(numbers, missing)
    valid = numbers.is_valid().to_numpy(False)
    with np.errstate(over="ignore"):
        singles = numbers.fill_null(0).to_numpy(False).astype(np.float32)
    infinite = valid & ~np.isfinite(singles)
    values = pa.array(singles, pa.float32(), mask=~valid | infinite)
    return Cast(values, bad + _marked(NON_FINITE, infinite))


def _floats_of_texts(texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
    return _parse(
        texts,
        quick=_NUMBER,
        patterns=(
            (_NON_FINITE, _parse_non_finite),
            (_NUMBER, _parse_numbers),
            (_BOOLEAN, _parse_booleans),
        ),
        convert=_parse_numbers,
        type_=pa.float64(),
    )


def _parse_numbers(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, r"^\+", "").cast(pa.float64())


def _parse_non_finite(texts: pa.Array) -> pa.Array:
    return pa.array(np.full(len(texts), np.nan))


def _parse(
    texts: pa.Array,
    quick: str,
    patterns: tuple[tuple[str, Parser], ...],
    convert: Parser,
    type_: pa.DataType,
) -> tuple[pa.Array, np.ndarray]:
    # The whole column at once if every text is plain; else by kind of text.
    plain = pc.match_substring_regex(texts, quick)
    if pc.all(plain.fill_null(True)).as_py():
        return convert(texts), np.zeros(len(texts), bool)
    values = pa.nulls(len(texts), type_)
    for pattern, parse in patterns:
        matched = pc.match_substring_regex(texts, pattern).fill_null(False)
        parsed = parse(texts.filter(matched)).cast(type_)
        values = pc.replace_with_mask(values, matched, parsed)
    return values, pc.and_(texts.is_valid(), values.is_null()).to_numpy(False)


def _marked(reason: str, bad: np.ndarray) -> Bad:
    return [(reason, bad)] if bad.any() else []


def _is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _LISTS)


def _cast_lists(array: pa.Array, field: Field, missing: tuple[str, ...]) -> Cast:
    bad: Bad = []
    if not pa.types.is_nested(array.type):
        text = _cast_string(array, missing)
        array, bad = pc.split_pattern(text.values, field.delimiter), text.bad
    if not _is_list(array.type) or pa.types.is_nested(array.type.value_type):
        values = pa.nulls(len(array), pa.list_(_ARROW[field.dtype]))
        return Cast(values, [(NOT_LIST, array.is_valid().to_numpy(False))])
    elements = array.flatten()
    element = Field(field.column, field.dtype)
    flat = cast(elements, element, missing)
    # Nulls may hide elements, which `flatten` leaves out.
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(False)
    parents = np.repeat(np.arange(len(array)), lengths)
    for reason, mask in flat.bad:
        rows = np.zeros(len(array), bool)
        rows[parents[mask]] = True
        bad.append((reason, rows))
    kept = flat.values.is_valid().to_numpy(False)
    lengths = np.bincount(parents[kept], minlength=len(array))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = pa.ListArray.from_arrays(pa.array(offsets), flat.values.drop_null())
    return Cast(values, bad)


_ARROW = {"string": pa.string(), "int64": pa.int64(), "float32": pa.float32()}
_CASTS = {
    "string": _cast_string,
    "int64": _cast_int64,
    "float32": _cast_float32,
}
