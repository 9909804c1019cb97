"""Method: the ways to calibrate."""

from __future__ import annotations

from typing import Literal

Method = Literal["platt", "isotonic", "per-slice"]
