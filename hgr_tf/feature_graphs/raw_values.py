"""Raw values of requests in a graph: which ones are missing, and what text they are."""

from __future__ import annotations

import re
from collections.abc import Collection

import tensorflow as tf

from hgr_tf.features.kind import MISSING

_INTEGER = r"[+-]?[0-9]+(\.0*)?"
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"

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
    values: Collection[str | float]
    if raw.dtype == tf.string:
        missing, values = raw == "", missing_values
    elif raw.dtype == tf.int64:
        missing, values = raw == MISSING_INT, _whole_numbers(missing_values)
    else:
        missing, values = ~tf.math.is_finite(raw), _numbers(missing_values)
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


def _whole_numbers(texts: Collection[str]) -> list[int]:
    """Those that an int64 equals, however they are written: "-999", "-999.0"."""
    whole = [int(t.partition(".")[0]) for t in texts if re.fullmatch(_INTEGER, t)]
    return [n for n in whole if tf.int64.min <= n <= tf.int64.max]


def _numbers(texts: Collection[str]) -> list[float]:
    """Those that a float32 equals; infinities are missing as they are."""
    numbers = [float(t) for t in texts if re.fullmatch(_NUMBER, t)]
    return [n for n in numbers if abs(n) <= tf.float32.max]
