"""Gradients: those of embedding tables are kept as the rows that a batch touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


def unique_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Sums the slices of each row, so that no row is named twice.

    Args:
        gradient: Slices [n, ...] of the rows `indices` [n], in any order.

    Returns:
        Slices [u, ...] of the u distinct rows, in the order of their first slice.
    """
    rows, position = tf.unique(gradient.indices)
    sums = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
    return tf.IndexedSlices(sums, rows, gradient.dense_shape)


def map_values(
    function: Callable[[tf.Tensor], tf.Tensor], gradient: Gradient | None
) -> Gradient | None:
    """Applies a function to the values of a gradient and keeps its rows."""
    if isinstance(gradient, tf.IndexedSlices):
        values = function(gradient.values)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return None if gradient is None else function(gradient)
