"""What optimizers share that keep gradients of embedding tables as rows."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.gradients import Gradient, map_values, unique_rows


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
