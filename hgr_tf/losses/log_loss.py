"""log_loss: the binary cross entropy that every objective here starts from."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.flat_inputs import flat_float, flat_labels


def log_loss(
    labels: tf.Tensor, logits: tf.Tensor, sample_weight: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean over the batch of the weighted binary cross entropy.

    1 / B sum_i w_i ( -y_i log p_i - (1 - y_i) log(1 - p_i) ),  p = sigmoid(s)

    Args:
        labels: [batch] or [batch, 1], in [0, 1].
        logits: [batch] or [batch, 1].
        sample_weight: Optional [batch] or [batch, 1], at least 0.

    Returns:
        float32 scalar; 0 of an empty batch.

    Raises:
        ValueError: A label is outside of [0, 1] or a weight negative. In a graph
            this is a `tf.errors.InvalidArgumentError`; under XLA there is no check.
    """
    labels, weights = flat_labels(labels, sample_weight, highest=1)
    return flat_log_loss(labels, flat_float(logits), weights)


def flat_log_loss(
    labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """`log_loss` of rows that `flat_labels` and `flat_float` have prepared."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    if weights is not None:
        losses *= weights
    rows = tf.cast(tf.size(losses), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses), rows)


def mean_weight(
    labels: tf.Tensor, weights: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor | float]:
    """What turns `flat_log_loss`, a mean over the rows, into a weighted mean.

    Returns:
        The sum of the weights, and the factor: rows over that sum; 0 without weight.
    """
    rows = tf.cast(tf.size(labels), tf.float32)
    if weights is None:
        return rows, 1.0
    total = tf.reduce_sum(weights)
    return total, tf.math.divide_no_nan(rows, total)
