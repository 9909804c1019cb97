"""log_loss: the binary cross entropy that every objective here starts from."""

import tensorflow as tf


def log_loss(labels, logits, sample_weight=None):
    """Mean over the batch of the weighted binary cross entropy.

    1 / B sum_i w_i ( -y_i log p_i - (1 - y_i) log(1 - p_i) ),  p = sigmoid(s)

    Args:
        labels: [batch] or [batch, 1], in [0, 1].
        logits: [batch] or [batch, 1].
        sample_weight: Optional [batch] or [batch, 1].

    Returns:
        float32 scalar; 0 of an empty batch.
    """
    labels = tf.reshape(tf.cast(labels, tf.float32), [-1])
    logits = tf.reshape(tf.cast(logits, tf.float32), [-1])
    if sample_weight is None:
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    else:
        weights = tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
        # What does not count may have no label: NaN.
        labels = tf.where(weights > 0, labels, 0.0)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits) * weights
    rows = tf.cast(tf.size(losses), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses), rows)
