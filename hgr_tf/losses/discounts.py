"""Gains and discounts of NDCG, for samples that count as any number of samples."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

LAST_RANK = 1 << 16
"""Ranks past this one have its discount."""

_TOTALS = np.concatenate(
    [[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, LAST_RANK + 2)))]
).astype(np.float32)


def gains(labels: tf.Tensor) -> tf.Tensor:
    """2^y - 1 of labels y, which must be below 128."""
    return tf.math.expm1(math.log(2.0) * labels)


def discounts(ranks: tf.Tensor) -> tf.Tensor:
    """1 / log2(1 + rank) of ranks from 1 on, whole or not."""
    return math.log(2.0) / tf.math.log1p(tf.minimum(ranks, LAST_RANK))


def discount_slopes(ranks: tf.Tensor) -> tf.Tensor:
    """The derivative of `discounts`."""
    logs = tf.math.log1p(ranks)
    slopes = -math.log(2.0) / ((1.0 + ranks) * logs * logs)
    return tf.where(ranks < LAST_RANK, slopes, 0.0)


def total_discounts(mass: tf.Tensor) -> tf.Tensor:
    """Sum of the discounts of the first ranks, of which a last one may be a part."""
    whole = tf.floor(tf.minimum(mass, LAST_RANK))
    totals = tf.gather(tf.constant(_TOTALS), tf.cast(whole, tf.int32))
    return totals + (mass - whole) * discounts(whole + 1.0)
