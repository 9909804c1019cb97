"""Sections of the spec on splits: at random, by user, by time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from datetime import date, datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from hgr_tf.features.strict_model import Strict

TRAIN = "train"
"""The split that vocabularies, boundaries and moments are learned from."""

TimeUnit = Literal["s", "ms", "us", "ns"]
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def check_split_names(names: Iterable[str]) -> None:
    """Checks that the names of splits can start those of files.

    Raises:
        ValueError: One of them cannot.
    """
    bad = [name for name in names if not re.fullmatch(r"\w[\w.-]*", name)]
    if bad:
        raise ValueError(
            "names of splits must start with a letter, digit or '_' and hold only "
            f"these, '.' and '-', got {bad}"
        )


class _Fractions(Strict):
    fractions: dict[str, float]

    @model_validator(mode="after")
    def _check_fractions(self) -> Self:
        check_split_names(self.fractions)
        values = list(self.fractions.values())
        if TRAIN not in self.fractions:
            raise ValueError(f"fractions must name {TRAIN!r}, got {self.fractions}")
        if min(values) <= 0 or abs(sum(values) - 1) > 1e-6:
            raise ValueError(
                f"fractions must be positive and sum to 1, got {self.fractions}"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The splits, in the order of the spec."""
        return tuple(self.fractions)


class RandomSplit(_Fractions):
    """Rows at random, each user's positives and negatives spread in proportion."""

    by: Literal["random"] = "random"


class UserSplit(_Fractions):
    """Whole users at random, by the hash of their id."""

    by: Literal["user"] = "user"


def _number_or_date(value: Any) -> int | float | str:
    if isinstance(value, date):  # what YAML makes of a date without quotes
        return value.isoformat()
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not _is_date(value):
        raise ValueError(
            f"must be a number of the time column or an ISO date, got {value!r}"
        )
    return value


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


_Start = Annotated[int | str, BeforeValidator(_number_or_date)]


class TimeSplit(Strict):
    """Rows by time: "train" until the first start, then each split from its own.

    Attributes:
        starts: Inclusive start of each later split, ascending; in the unit of
            the time column, or an ISO date (UTC) when the spec has `time_unit`.
    """

    by: Literal["time"] = "time"
    starts: dict[str, _Start] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_starts(self) -> Self:
        check_split_names(self.starts)
        if TRAIN in self.starts:
            raise ValueError(f"{TRAIN!r} is what comes before the first start")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The splits, in the order of time."""
        return (TRAIN, *self.starts)

    def cuts(self, unit: TimeUnit | None) -> list[int]:
        """The starts as numbers of the time column.

        Raises:
            ValueError: A start is neither a number nor an ISO date, it is a
                date and `unit` is None, or the starts do not ascend.
        """
        cuts = [_instant(start, unit) for start in self.starts.values()]
        if any(a >= b for a, b in itertools.pairwise(cuts)):
            raise ValueError(f"starts must ascend, got {self.starts}")
        return cuts


Split = Annotated[RandomSplit | UserSplit | TimeSplit, Field(discriminator="by")]


def units_per_second(unit: TimeUnit) -> int:
    """How many of the time column's units make a second."""
    return _PER_SECOND[unit]


def _instant(value: int | str, unit: TimeUnit | None) -> int:
    if isinstance(value, int):
        return value
    if unit is None:
        raise ValueError(f"a date start needs `time_unit`, got {value!r}")
    moment = datetime.fromisoformat(value)
    moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc)
    return round(moment.timestamp() * _PER_SECOND[unit])
