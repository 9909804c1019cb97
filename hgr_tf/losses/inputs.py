"""The rows of a batch as the losses take them: flat, and masked where weightless."""

from __future__ import annotations

import tensorflow as tf


def flat_float(values) -> tf.Tensor:
    """Any tensor-like as a flat float32 tensor."""
    return tf.reshape(tf.cast(values, tf.float32), [-1])


def flat_labels(labels, sample_weight=None) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Labels and weights as float32 [batch]; a label of weight 0 becomes 0.

    Args:
        labels: [batch] or [batch, 1]; may be NaN where the weight is 0.
        sample_weight: [batch] or [batch, 1], or None, which stays None.
    """
    labels = flat_float(labels)
    if sample_weight is None:
        return labels, None
    weights = flat_float(sample_weight)
    # What does not count may have no label: NaN.
    return tf.where(weights > 0, labels, 0.0), weights
