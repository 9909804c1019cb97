"""Codes dealt anew among the users of a batch: the control of hierarchical groups."""

from __future__ import annotations

import tensorflow as tf


def shuffled_codes(codes: tf.Tensor, user_ids: tf.Tensor) -> tf.Tensor:
    """Gives every user of a batch the codes of a user drawn at random.

    Each code path goes to one other user (or the same), so that groups hold as many
    users as before at every level, and users of a group have nothing in common. A
    loss in such groups shows what lists of these sizes do without the hierarchy.

    Args:
        codes: int32 [batch, levels]; the rows of a user have equal codes.
        user_ids: int [batch].

    Returns:
        int32 [batch, levels].

    Example:
        >>> codes = tf.constant([[0, 1], [0, 1], [2, 0]])
        >>> shuffled_codes(codes, tf.constant([7, 7, 8])).shape
        TensorShape([3, 2])
    """
    users, position = tf.unique(tf.reshape(user_ids, [-1]))
    count = tf.size(users)
    paths = tf.math.unsorted_segment_max(codes, position, count)
    dealt = tf.gather(paths, tf.random.shuffle(tf.range(count)))
    return tf.ensure_shape(tf.gather(dealt, position), codes.shape)
