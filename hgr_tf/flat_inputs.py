"""The rows of a batch as losses and metrics take them: flat, checked, masked."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.input_checks import check_labels, check_weights


def flat_float(values: tf.Tensor) -> tf.Tensor:
    """Any tensor-like as a flat float32 tensor."""
    return tf.reshape(tf.cast(values, tf.float32), [-1])


def flat_labels(
    labels: tf.Tensor,
    sample_weight: tf.Tensor | None = None,
    highest: float | None = None,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Labels and weights as float32 [batch]; a label of weight 0 becomes 0.

    Args:
        labels: [batch] or [batch, 1], at least 0; anything where the weight is 0,
            NaN too.
        sample_weight: [batch] or [batch, 1], at least 0; or None, which stays None.
        highest: The largest label there may be; None for graded labels.

    Raises:
        ValueError or tf.errors.InvalidArgumentError: A label or a weight is out of
            range; see `hgr_tf.set_input_checks`.
    """
    labels = flat_float(labels)
    if sample_weight is None:
        return check_labels(labels, highest), None
    weights = check_weights(flat_float(sample_weight))
    return check_labels(tf.where(weights > 0, labels, 0.0), highest), weights
