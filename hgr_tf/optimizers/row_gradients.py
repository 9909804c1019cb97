"""Gradients of embedding tables, kept as the rows that a batch touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import tensorflow as tf

from hgr_tf.compat import KERAS_3

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


class RowGradients:
    """What optimizers of this package share: gradients of tables stay rows.

    A mix-in for Keras optimizers, of both generations. The slices of a row are
    summed before gradients are clipped, so that norms are those of the whole
    gradient, and clipping never makes a gradient dense.
    """

    # What the optimizers have from Keras.
    clipvalue: float | None
    clipnorm: float | None
    global_clipnorm: float | None
    _distribution_strategy: tf.distribute.Strategy

    def _clip_gradients(
        self, grads: Sequence[Gradient | None]
    ) -> list[Gradient | None]:
        """Clips by `clipnorm`, `global_clipnorm` or `clipvalue`, rows summed first."""
        grads = [
            unique_rows(g) if isinstance(g, tf.IndexedSlices) else g for g in grads
        ]
        if self.clipvalue:
            limit = self.clipvalue
            return [
                map_values(lambda v: tf.clip_by_value(v, -limit, limit), g)
                for g in grads
            ]
        if self.clipnorm:
            limit = self.clipnorm
            return [map_values(lambda v: tf.clip_by_norm(v, limit), g) for g in grads]
        if self.global_clipnorm:
            return list(tf.clip_by_global_norm(grads, self.global_clipnorm)[0])
        return grads

    def _deduplicate_sparse_grad(
        self, grads: Sequence[Gradient | None]
    ) -> Sequence[Gradient | None]:
        # Keras 2 calls this after `_clip_gradients`, which has done it.
        return grads

    def _rows_of(self, gradient: tf.IndexedSlices) -> tf.IndexedSlices:
        """The rows of a step: those of several replicas are met only now on Keras 3."""
        replicas = self._distribution_strategy.num_replicas_in_sync
        return unique_rows(gradient) if KERAS_3 and replicas > 1 else gradient
