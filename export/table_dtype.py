"""TableDtype: what exported embedding tables may be stored as."""

from __future__ import annotations

from typing import Literal

TableDtype = Literal["bfloat16", "float16", "int8"]
