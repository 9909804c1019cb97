"""Sums of terms of which some are not there, without an operation too many.

One output must train to the same bits however the sum over several heads is written,
and TensorFlow rewrites graphs by the operations in them: a factor 1 changes roundings.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

OptionalTensor: TypeAlias = tf.Tensor | None


def sum_of(terms: Iterable[Any]) -> OptionalTensor:
    """Adds, from left to right, the terms that are not None; None if all are."""
    there = [term for term in terms if term is not None]
    return functools.reduce(operator.add, there) if there else None


def weighted_sum(
    weights: Sequence[tf.Tensor | float], terms: Sequence[OptionalTensor]
) -> OptionalTensor:
    """Likewise, of terms times their weights; the number 1 multiplies nothing."""
    pairs = zip(weights, terms, strict=True)
    return sum_of(
        term if term is None or _is_one(weight) else weight * term
        for weight, term in pairs
    )


def _is_one(weight: tf.Tensor | float) -> bool:
    return isinstance(weight, float | int) and weight == 1
