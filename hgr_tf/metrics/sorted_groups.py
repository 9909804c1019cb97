"""Rows sorted by group and score, and where groups and ties of them begin."""

from __future__ import annotations

import tensorflow as tf


def order_of(groups: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """[rows] indices that sort rows by group, then by rising score."""
    by_score = tf.argsort(scores, stable=True)
    by_group = tf.argsort(tf.gather(groups, by_score), stable=True)
    return tf.gather(by_score, by_group)


def differs_from_previous(column: tf.Tensor) -> tf.Tensor:
    """[rows] whether a value is another one than that before it."""
    return tf.concat([tf.ones_like(column[:1], tf.bool), column[1:] != column[:-1]], 0)


def segment_ids(starts: tf.Tensor) -> tf.Tensor:
    """[rows] number of the segment of each row, from where segments start."""
    return tf.cumsum(tf.cast(starts, tf.int32)) - 1
