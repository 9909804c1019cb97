"""The text form of floating-point numbers."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_EXACT_INTEGERS = 2.0**53


def float_texts(floats: pa.Array) -> pa.Array:
    """Whole numbers below 2^53 in digits, others as Arrow writes them."""
    numbers = floats.cast(pa.float64())
    whole = pc.and_(
        pc.equal(pc.floor(numbers), numbers),
        pc.less(pc.abs(numbers), _EXACT_INTEGERS),
    )
    digits = pc.if_else(whole, numbers, 0.0).cast(pa.int64()).cast(pa.string())
    return pc.if_else(whole, digits, floats.cast(pa.string()))
