from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


class SummingMetric(tf.keras.metrics.Metric):
    """Base of the metrics whose state is sums over the rows, in float64."""

    def _add_sum(self, name: str, shape: Sequence[int] = ()) -> tf.Variable:
        return self.add_weight(
            name=name, shape=shape, initializer="zeros", dtype="float64"
        )

    def reset_state(self) -> None:
        """Forgets all rows."""
        # Keras 2's own assigns a scalar, whatever the shape.
        for variable in self.variables:
            variable.assign(tf.zeros(variable.shape, variable.dtype))
