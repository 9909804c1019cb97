"""The time column: points in time as whole numbers of the spec's unit.

What is finer than the unit is cut off towards the past, so that a time never
passes the start of a split that it lies before.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.splits import TimeUnit, units_per_second
from hgr_tf.pipelines.kernels.extension_types import plain
from hgr_tf.pipelines.kernels.value_texts import (
    FIRST_SECOND,
    LAST_SECOND,
    days_of,
    integers_of,
    value_texts,
)
from hgr_tf.pipelines.reasons import (
    NO_TIME_UNIT,
    NON_FINITE,
    NOT_A_TIME,
    NOT_INTEGER,
    OUT_OF_TIME,
)
from hgr_tf.pipelines.rows.casting import Cast, cast
from hgr_tf.pipelines.rows.fields import Field

LARGEST = 2**63 - 1
_SECONDS_A_DAY = 86_400
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"


def cast_times(
    array: pa.Array, field: Field, missing: tuple[str, ...], unit: TimeUnit | None
) -> Cast:
    """Reads the time column.

    Args:
        array: Integers, fractions (also as text), timestamps or dates.
        field: Field of the time, int64.
        missing: Texts that mean "missing".
        unit: Unit of numbers, and what timestamps and dates become: the spec's.

    Returns:
        int64 times, rounded down; what is wrong with the others.
    """
    array = plain(array)
    kind = array.type
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return _all_bad(array, NOT_A_TIME)
    if pa.types.is_temporal(kind):
        return _of_moments(array, unit) if unit else _all_bad(array, NO_TIME_UNIT)
    if pa.types.is_floating(kind):
        return _of_floats(array.cast(pa.float64()), field, missing)
    result = cast(array, field, missing)
    if not result.bad or pa.types.is_nested(kind):
        return result
    return _of_texts(array, result)


def out_of_time(times: np.ndarray, unit: TimeUnit) -> np.ndarray:
    """`[n]` bool: times outside the years 1 to 9999, or of 64 bits of their unit."""
    scale = units_per_second(unit)
    first = max(FIRST_SECOND * scale, -LARGEST)
    last = min((LAST_SECOND + 1) * scale - 1, LARGEST)
    return (times < first) | (times > last)


def _all_bad(array: pa.Array, reason: str) -> Cast:
    values = pa.nulls(len(array), pa.int64())
    return Cast(values, [(reason, array.is_valid().to_numpy(False))])


def _of_moments(array: pa.Array, unit: TimeUnit) -> Cast:
    if pa.types.is_date(array.type):
        (numbers, valid), own = days_of(array), 1
        factor = _SECONDS_A_DAY * units_per_second(unit)
    else:
        (numbers, valid), own = integers_of(array), units_per_second(array.type.unit)
        factor = max(1, units_per_second(unit) // own)
    divisor = max(1, own // units_per_second(unit))
    numbers = numbers // divisor
    bad = valid & ((numbers > LARGEST // factor) | (numbers < -(LARGEST // factor)))
    values = np.where(bad, 0, numbers) * factor
    return Cast(pa.array(values, mask=~valid | bad), _marked(OUT_OF_TIME, bad))


def _of_floats(floats: pa.Array, field: Field, missing: tuple[str, ...]) -> Cast:
    numbers = pc.fill_null(floats, 0).to_numpy(False)
    finite = np.isfinite(numbers)
    whole = np.where(finite, np.floor(numbers), numbers)
    result = cast(pa.array(whole, mask=~floats.is_valid().to_numpy(False)), field, ())
    absent = cast(floats, Field(field.column, "float32"), missing)
    # What is missing as a number is missing here; other faults have their own name.
    is_bad = np.zeros(len(floats), bool)
    for _, mask in absent.bad:
        is_bad |= mask
    missed = absent.values.is_null().to_numpy(False) & ~is_bad
    values = pc.if_else(pa.array(missed), pa.scalar(None, pa.int64()), result.values)
    unread = values.is_null().to_numpy(False) & ~missed
    bad = _marked(NON_FINITE, unread & ~finite) + _marked(OUT_OF_TIME, unread & finite)
    return Cast(values, bad)


def _of_texts(array: pa.Array, read: Cast) -> Cast:
    """Numbers with fractions, exactly; `read` has those without."""
    texts, undecodable = value_texts(array)
    unread = np.zeros(len(array), bool)
    for reason, mask in read.bad:
        unread |= mask & (reason == NOT_INTEGER)
    values = read.values.to_pylist()
    outside = np.zeros(len(array), bool)
    for i in np.flatnonzero(unread).tolist():
        text = texts[i].as_py()
        if not re.match(_NUMBER, text):
            continue
        unread[i] = False
        number = Decimal(text)
        outside[i] = abs(number) >= LARGEST
        values[i] = None if outside[i] else math.floor(number)
    bad = _marked(OUT_OF_TIME, outside) + _marked(NOT_A_TIME, unread)
    return Cast(pa.array(values, pa.int64()), undecodable + bad)


def _marked(reason: str, bad: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [(reason, bad)] if bad.any() else []
