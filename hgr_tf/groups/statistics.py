"""What the groups of a batch look like as lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from hgr_tf.groups.nested_lists import NestedLists, two_classes
from hgr_tf.groups.prefix_groups import Groups


class GroupStatistics(NamedTuple):
    """Statistics of the groups of a batch, level by level, shallowest first.

    Attributes:
        num_groups: float32 [levels]. Groups with a sample.
        occupancy: float32 [levels]. Share of the samples, by weight, that are
            in a list with two classes: only they take part in a loss.
        length_quantiles: float32 [levels, quantiles]. Of the group sizes.
    """

    num_groups: tf.Tensor
    occupancy: tf.Tensor
    length_quantiles: tf.Tensor


def group_statistics(
    groups: Groups,
    labels: tf.Tensor,
    sample_weight: tf.Tensor | None = None,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
) -> GroupStatistics:
    """Counts the groups, their occupancy and the quantiles of their lengths.

    Args:
        groups: `Groups` of the batch.
        labels: [batch].
        sample_weight: Optional [batch]; samples of weight 0 do not count.
        quantiles: Quantiles of the lengths of a level's groups, each group once (the
            nearest length, not an interpolated one).

    Returns:
        `GroupStatistics`.
    """
    labels = tf.reshape(tf.cast(labels, tf.float32), [-1])
    if sample_weight is not None:
        sample_weight = tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
    lists = NestedLists(groups, sample_weight)
    sizes = lists.counts()
    valid = two_classes(lists, labels)
    columns = (sizes, lists.sum(lists.weights), valid)
    levels = [
        _describe(size, mass, is_valid, quantiles)
        for size, mass, is_valid in zip(*map(reversed, columns), strict=True)
    ]
    return GroupStatistics(*(tf.stack(column) for column in zip(*levels, strict=True)))


def _describe(
    sizes: tf.Tensor, masses: tf.Tensor, valid: tf.Tensor, quantiles: Sequence[float]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    count = tf.math.count_nonzero(sizes, dtype=tf.float32)
    listed = tf.reduce_sum(tf.where(valid, masses, 0.0))
    occupancy = tf.math.divide_no_nan(listed, tf.reduce_sum(masses))
    # Descending, so that groups without samples come last; one more for none.
    lengths = tf.sort(tf.concat([sizes, [0.0]], axis=0), direction="DESCENDING")
    ranks = (1.0 - tf.constant(quantiles)) * tf.maximum(count - 1.0, 0.0)
    return count, occupancy, tf.gather(lengths, tf.cast(tf.round(ranks), tf.int32))
