"""Conditions on the columns that folders give: which files of a log are read at all.

The condition "dt>=2026-01-01" keeps `logs/dt=2026-01-02/part-0.parquet` and leaves the
file of the folder `dt=2025-12-31` unread.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeVar

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.sources.partitions import partitions_of

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION = re.compile(rf"\s*([^<>=!]+?)\s*({'|'.join(_OPERATORS)})([^<>=!]*)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Condition(NamedTuple):
    """A comparison of a folder's value with a constant.

    Attributes:
        text: The condition as the user wrote it.
        column: Column that the name of a folder gives.
        symbol: A key of `_OPERATORS`.
        value: The constant.
    """

    text: str
    column: str
    symbol: str
    value: str

    def holds(self, path: str) -> bool:
        """Whether the condition holds for the folders of a file.

        Dates are compared as dates, numbers as numbers ("05" equals "5"), anything
        else as text. No condition holds for a missing value.

        Raises:
            PrepareError: No folder gives the column, or a date, a number and a text
                would be compared with each other by "<" or ">".
        """
        folders = partitions_of(path)
        if self.column not in folders:
            raise PrepareError(
                f"--where {self.text!r}: {path} lies in no folder "
                f"{self.column}=..., got the columns {list(folders)}"
            )
        found = folders[self.column]
        if found is None:
            return False
        left, right = _typed(found), _typed(self.value)
        if type(left) is type(right):
            return _OPERATORS[self.symbol](left, right)
        if self.symbol in ("=", "!="):
            return self.symbol == "!="
        raise PrepareError(
            f"--where {self.text!r}: {self.value!r} is {_KINDS[type(right)]}, and "
            f"{found!r}, of the folder of {path}, is {_KINDS[type(left)]}"
        )


_KINDS = {date: "a date", Decimal: "a number", str: "a text"}


def _typed(text: str) -> date | Decimal | str:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def parse_condition(text: str) -> Condition:
    """Reads a condition.

    Raises:
        PrepareError: The text is no condition.

    Example:
        >>> parse_condition("dt>=2026-01-01")[1:]
        ('dt', '>=', '2026-01-01')
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise PrepareError(
            f"--where must be a column of folders, one of {' '.join(_OPERATORS)} and a "
            f"value, as in 'dt>=2026-01-01', got {text!r}"
        )
    column, symbol, value = found.groups()
    return Condition(text, column, symbol, value.strip())


class _HasPath(Protocol):
    @property
    def path(self) -> str: ...


_File = TypeVar("_File", bound=_HasPath)


def prune(files: Sequence[_File], conditions: Sequence[str]) -> tuple[_File, ...]:
    """Returns the files for whose folders every condition holds.

    Raises:
        PrepareError: A condition is wrong, or no file is left.
    """
    parsed = [parse_condition(text) for text in conditions]
    # A list, so that the column of every condition is looked for in every file.
    kept = tuple(f for f in files if all([c.holds(f.path) for c in parsed]))
    if files and not kept:
        raise PrepareError(
            f"--where {' and '.join(map(repr, conditions))}: holds for none of the "
            f"{len(files)} files, whose folders have "
            + ", ".join(_range(files, c.column) for c in parsed)
        )
    return kept


def _range(files: Sequence[_HasPath], column: str) -> str:
    """Tells the first and the last value of a column of folders."""
    found = {partitions_of(file.path)[column] for file in files}
    values = sorted(value for value in found if value is not None)
    return f"{column} {values[0]!r} to {values[-1]!r}" if values else f"no {column}"
