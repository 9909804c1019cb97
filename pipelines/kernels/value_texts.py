"""The one text of a value, whatever file it comes from.

docs/pipelines.md has the table of texts. Each function takes `[n]` values of one
kind of Arrow type and returns `[n]` texts; nulls stay null.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.pipelines.reasons import OUT_OF_DAY, OUT_OF_TIME, UNDECODABLE

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Of the years 1 to 9999, since 1970."""

_EXACT_INTEGERS = 2.0**53
_SECONDS_A_DAY = 86_400
_TEXTS = (pa.string(), pa.large_string(), pa.string_view())


class Texts(NamedTuple):
    """Texts of a column.

    Attributes:
        texts: `[n]` strings; null where the value is null or has no text.
        bad: (reason, `[n]` mask) of each kind of value without a text.
    """

    texts: pa.Array
    bad: list[tuple[str, np.ndarray]]


def value_texts(array: pa.Array) -> Texts:
    """The texts of scalars of any type that `has_text`."""
    for is_kind, texts in _KINDS:
        if is_kind(array.type):
            return texts(array)
    raise TypeError(f"values of type {array.type} have no text")


def has_text(kind: pa.DataType) -> bool:
    """Whether values of a type that is not nested have a text."""
    return any(is_kind(kind) for is_kind, _ in _KINDS)


def float_texts(floats: pa.Array) -> pa.Array:
    """Whole numbers below 2^53 in digits; else the fewest digits of their width."""
    if pa.types.is_float16(floats.type):
        floats = _widened(floats)
    numbers = floats.cast(pa.float64())
    whole = pc.and_(
        pc.equal(pc.floor(numbers), numbers),
        pc.less(pc.abs(numbers), _EXACT_INTEGERS),
    )
    digits = pc.if_else(whole, numbers, 0.0).cast(pa.int64()).cast(pa.string())
    return pc.if_else(whole, digits, floats.cast(pa.string()))


def decimal_text(value: Decimal) -> str:
    """All digits of a decimal, without an exponent or zeros at the end.

    >>> decimal_text(Decimal("77.500")), decimal_text(Decimal("1E+3"))
    ('77.5', '1000')
    """
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _widened(halves: pa.Array) -> pa.Array:
    """Doubles that the fewest digits of each half-precision number stand for."""
    values = halves.fill_null(pa.scalar(np.float16(0), halves.type)).to_numpy(False)
    distinct, at = np.unique(values, return_inverse=True)
    doubles = np.array([float(str(value)) for value in distinct], np.float64)
    return pa.array(doubles[at], mask=halves.is_null().to_numpy(False))


def _floats(array: pa.Array) -> Texts:
    return Texts(float_texts(array), [])


def _as_arrow_writes(array: pa.Array) -> Texts:
    return Texts(array.cast(pa.string()), [])


def _decimals(array: pa.Array) -> Texts:
    texts = array.cast(pa.string())
    texts = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+$", r"\1")
    texts = pc.replace_substring_regex(texts, r"\.$", "")
    with_exponent = pc.match_substring(texts, "E").fill_null(False)
    if pc.any(with_exponent).as_py():
        values = array.filter(with_exponent).to_pylist()
        texts = pc.replace_with_mask(
            texts, with_exponent, pa.array(map(decimal_text, values), pa.string())
        )
    return Texts(texts, [])


def _decoded(array: pa.Array) -> Texts:
    if array.type in _TEXTS:
        array = array.cast(pa.binary())  # Arrow checks bytes that become text
    try:
        return Texts(array.cast(pa.string()), [])
    except pa.ArrowInvalid:
        texts = [_decoded_or_none(value) for value in array.to_pylist()]
    bad = array.is_valid().to_numpy(False) & np.array([t is None for t in texts])
    return Texts(pa.array(texts, pa.string()), [(UNDECODABLE, bad)])


def _decoded_or_none(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _timestamps(array: pa.Array) -> Texts:
    numbers, valid = integers_of(array)
    seconds, fractions = _split(numbers, array.type.unit)
    outside = valid & ((seconds < FIRST_SECOND) | (seconds > LAST_SECOND))
    mask = ~valid | outside
    texts = pa.array(seconds, pa.int64(), mask=mask).cast(pa.timestamp("s"))
    texts = pc.replace_substring(texts.cast(pa.string()), " ", "T")
    return _checked(_with_fraction(texts, fractions), OUT_OF_TIME, outside)


def _dates(array: pa.Array) -> Texts:
    days, valid = days_of(array)
    first, last = FIRST_SECOND // _SECONDS_A_DAY, LAST_SECOND // _SECONDS_A_DAY
    outside = valid & ((days < first) | (days > last))
    kept = pa.array(np.where(outside, 0, days), pa.int32(), mask=~valid | outside)
    texts = kept.cast(pa.date32()).cast(pa.string())
    return _checked(texts, OUT_OF_TIME, outside)


def _times_of_day(array: pa.Array) -> Texts:
    numbers, valid = integers_of(array)
    seconds, fractions = _split(numbers, array.type.unit)
    outside = valid & ((seconds < 0) | (seconds >= _SECONDS_A_DAY))
    kept = np.where(outside, 0, seconds)
    texts = pa.array(kept, pa.int32(), mask=~valid | outside).cast(pa.time32("s"))
    texts = _with_fraction(texts.cast(pa.string()), fractions)
    return _checked(texts, OUT_OF_DAY, outside)


def _durations(array: pa.Array) -> Texts:
    numbers, valid = integers_of(array)
    negative = numbers < 0
    sizes = numbers.astype(np.uint64)  # of 64 bits: the smallest one has no -x
    sizes = np.where(negative, ~sizes + np.uint64(1), sizes)
    seconds, fractions = _split(sizes, array.type.unit)
    texts = pa.array(seconds, mask=~valid).cast(pa.string())
    texts = _with_fraction(texts, fractions)
    minus = pa.array(np.where(negative, "-", ""), pa.string())
    return Texts(pc.binary_join_element_wise(minus, texts, ""), [])


def integers_of(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """`[n]` int64 that times are stored as, 0 where null; `[n]` bool, the others."""
    kind = pa.int32() if array.type.bit_width == 32 else pa.int64()
    numbers = pc.fill_null(array.cast(kind), 0).to_numpy(False)
    return numbers.astype(np.int64), array.is_valid().to_numpy(False)


def days_of(dates: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """`[n]` int64 days since 1970, 0 where null; `[n]` bool, the others."""
    numbers, valid = integers_of(dates)
    per_day = 1 if pa.types.is_date32(dates.type) else _SECONDS_A_DAY * 1000
    return numbers // per_day, valid


def _split(numbers: np.ndarray, unit: str) -> tuple[np.ndarray, pa.Array | None]:
    """Whole seconds, and texts such as ".5" of what is left; None if nothing is."""
    scale = numbers.dtype.type(PER_SECOND[unit])
    seconds, rest = numbers // scale, numbers % scale
    if not rest.any():
        return seconds, None
    digits = pa.array(rest).cast(pa.string())
    digits = pc.utf8_lpad(digits, width=len(str(scale)) - 1, padding="0")
    points = pa.array(np.where(rest > 0, ".", ""), pa.string())
    digits = pc.utf8_rtrim(digits, characters="0")
    return seconds, pc.binary_join_element_wise(points, digits, "")


def _with_fraction(texts: pa.Array, fractions: pa.Array | None) -> pa.Array:
    if fractions is None:
        return texts
    return pc.binary_join_element_wise(texts, fractions, "")


def _checked(texts: pa.Array, reason: str, bad: np.ndarray) -> Texts:
    return Texts(texts, [(reason, bad)] if bad.any() else [])


_Is = Callable[[pa.DataType], bool]
_KINDS: tuple[tuple[_Is, Callable[[pa.Array], Texts]], ...] = (
    (lambda kind: kind in _TEXTS, _decoded),
    (pa.types.is_binary, _decoded),
    (pa.types.is_large_binary, _decoded),
    (pa.types.is_binary_view, _decoded),
    (pa.types.is_fixed_size_binary, _decoded),
    (pa.types.is_null, _as_arrow_writes),
    (pa.types.is_boolean, _as_arrow_writes),
    (pa.types.is_integer, _as_arrow_writes),
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_timestamp, _timestamps),
    (pa.types.is_date, _dates),
    (pa.types.is_time, _times_of_day),
    (pa.types.is_duration, _durations),
)
