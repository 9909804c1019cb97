"""Columns that the names of folders give, as Hive and Spark write them.

The file `logs/dt=2026-01-01/hour=05/part-0.parquet` has the columns "dt", a date,
and "hour", the text "05".
"""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import unquote

import pyarrow as pa

_PARTITION = re.compile(r"([^=/]+)=([^/]*)")
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions_of(path: str) -> dict[str, str | None]:
    """Values by column; the innermost folder wins. None stands for null."""
    found: dict[str, str | None] = {}
    for folder in re.split(r"[/\\]", path)[:-1]:
        if named := _PARTITION.fullmatch(folder):
            name, value = map(unquote, named.groups())
            found[name] = None if value == _NULL else value
    return found


def partition_column(value: str | None, rows: int) -> pa.Array:
    """`[rows]` times the value: an ISO date as such, so that it may be a time."""
    if value is not None and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return pa.repeat(pa.scalar(date.fromisoformat(value)), rows)
        except ValueError:
            pass  # text that looks like a date
    return pa.repeat(pa.scalar(value, pa.string()), rows)
