"""Spans of time in a spec: "1h", "7d", or a number of the time column's units."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from hgr_tf.features.splits import TimeUnit, units_per_second

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def _check(value: int | str) -> int | str:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+[smhdw]", value):
        raise ValueError(
            "must be a number of the time column's units, or a number and one of "
            f"s, m, h, d, w, such as '7d'; got {value!r}"
        )
    return value


Duration = Annotated[
    Annotated[int, Field(ge=0, le=2**62)] | Annotated[str, AfterValidator(_check)],
    Field(union_mode="left_to_right"),
]
"""A span of time: an int of the time column's units, or a text such as "7d"."""


def in_units(duration: int | str, unit: TimeUnit | None) -> int:
    """The duration as a number of the time column's units.

    Raises:
        ValueError: The duration is a text and the unit is not known.

    Example:
        >>> in_units("2h", "ms")
        7200000
    """
    if isinstance(duration, int):
        return duration
    if unit is None:
        raise ValueError(f"{duration!r} needs `time_unit`, the unit of the time column")
    return int(duration[:-1]) * _SECONDS[duration[-1]] * units_per_second(unit)
