"""Raw values of requests in a graph: which ones are missing, and what text they are."""

from __future__ import annotations

import math
from collections.abc import Collection

import tensorflow as tf

from hgr_tf.features.kind import MISSING

MISSING_INT = MISSING["int64"]
"""Stands for "no value" in an int64 tensor, as "" and NaN do in the others."""

UNKNOWN = 1
"""The first id of unknown values; a vocabulary's ids come after the last."""


def is_missing(raw: tf.Tensor, missing_values: Collection[str]) -> tf.Tensor:
    """Where raw values mean "missing".

    Args:
        raw: string, int64 or float32 [...].
        missing_values: Texts that mean "missing", beside the value of the dtype
            that does; infinities, which training never sees, do too.

    Returns:
        bool [...].
    """
    if raw.dtype == tf.string:
        missing, values = raw == "", missing_values
    else:
        numbers = [t for t in missing_values if _is_integer(t)]
        if raw.dtype == tf.int64:
            missing = raw == MISSING_INT
            fits = range(tf.int64.min, tf.int64.max + 1)
            values = [int(t) for t in numbers if int(t) in fits]
        else:
            missing = ~tf.math.is_finite(raw)
            values = map(float, numbers)
    for value in values:
        missing |= raw == tf.constant(value, raw.dtype)
    return missing


def as_text(raw: tf.Tensor) -> tf.Tensor:
    """Texts as they are, integers in digits."""
    return tf.strings.as_string(raw) if raw.dtype == tf.int64 else raw


def integers(texts: tf.Tensor) -> tf.Tensor:
    """int64s of texts that are integers or booleans, as the pipeline reads them."""
    for pattern, digits in (
        (r"(?i)^true$", "1"),
        (r"(?i)^false$", "0"),
        (r"^\+|\.0*$", ""),
    ):
        texts = tf.strings.regex_replace(texts, pattern, digits)
    return tf.strings.to_number(texts, tf.int64)


def check_missing_numbers(name: str, missing_values: Collection[str]) -> None:
    """Refuses a text such as "-999.0", which means nothing among numbers.

    Raises:
        ValueError: A missing value is a number only as it is written in text.
    """
    whole = {float(text) for text in missing_values if _is_integer(text)}
    for text in missing_values:
        number = _finite(text)
        if number is not None and number not in whole:
            raise ValueError(
                f"feature {name!r} takes numbers: a number among missing_values must "
                f"be whole and written in digits, such as '-999'; got {text!r}"
            )


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
