"""What a groupwise loss computes for every group, and how groups are averaged."""

from typing import NamedTuple

import tensorflow as tf

NORMALIZATIONS = ("positive", "list", "sample")


class ListTerms(NamedTuple):
    """Loss of every group, not yet averaged; lists go deepest level first.

    Attributes:
        sums: A float32 [num_groups] a level: target mass times the group's
            mean loss.
        targets: A float32 [num_groups] a level: the target mass, such as the
            weighted sum of the labels.
    """

    sums: list
    targets: list


def average_lists(sums, targets, sizes, valid, normalization):
    """Mean loss over the valid groups of one level.

    sum_G c_G loss_G / sum_G c_G with loss_G = sums_G / targets_G and c_G the
    target mass ("positive"), 1 ("list") or the weight of the samples
    ("sample"). Exactly 0, with zero gradients, when no group is valid.

    Args:
        sums: float32 [num_groups].
        targets: float32 [num_groups].
        sizes: float32 [num_groups].
        valid: bool [num_groups].
        normalization: One of "positive", "list", "sample".

    Returns:
        float32 scalar.
    """
    masses = {"positive": targets, "list": tf.ones_like(targets), "sample": sizes}
    masses = tf.where(valid, masses[normalization], 0.0)
    shares = tf.math.divide_no_nan(masses, tf.reduce_sum(masses))
    # Lists that do not count may have any sum, NaN too.
    shares = tf.math.divide_no_nan(shares, targets)
    return tf.reduce_sum(tf.math.multiply_no_nan(sums, shares))
