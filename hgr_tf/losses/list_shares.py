"""How the lists of a level are averaged into the loss of the level."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

Normalization = Literal["positive", "list", "sample"]
NORMALIZATIONS = ("positive", "list", "sample")


def list_shares(
    targets: tf.Tensor, sizes: tf.Tensor, valid: tf.Tensor, normalization: Normalization
) -> tf.Tensor:
    """What a unit of target mass counts for in each group of a level.

    The loss of a level is sum_G c_G loss(G) / sum_G c_G, with loss(G) a mean over
    the target mass of G, such as its positives: a unit of it counts for
    c_G / (targets_G sum_G c_G), where c_G is the target mass ("positive"), 1
    ("list") or the weight of the samples ("sample"). All shares are 0 when no
    group is valid.

    Args:
        targets: float32 [num_groups].
        sizes: float32 [num_groups].
        valid: bool [num_groups].
        normalization: One of "positive", "list", "sample".

    Returns:
        float32 [num_groups].
    """
    masses = {"positive": targets, "list": tf.ones_like(targets), "sample": sizes}
    masses = tf.where(valid, masses[normalization], 0.0)
    shares = tf.math.divide_no_nan(masses, tf.reduce_sum(masses))
    return tf.math.divide_no_nan(shares, targets)


def weighted_total(sums: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """sum_G shares_G sums_G, where sums of share 0 may be anything, NaN too."""
    return tf.reduce_sum(tf.math.multiply_no_nan(sums, shares))
