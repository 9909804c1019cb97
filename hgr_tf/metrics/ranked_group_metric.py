"""RankedGroupMetric: means over users of how their rows are ranked."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.metrics.group_metric import GroupMetric
from hgr_tf.metrics.inputs import ratio
from hgr_tf.metrics.sorted_groups import differs_from_previous, order_of, segment_ids

_ABSENT = -1.0


class RankedGroupMetric(GroupMetric):
    """Base of the means over the users with a positive of a figure of their ranks.

    Every such user counts alike. A weight says whether a row is there at all: one of
    weight 0 takes no rank.

    A subclass gives in `_of_groups` the figure of each user.
    """

    def _targets(self, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return tf.where(weights > 0, labels, _ABSENT)

    def _of_rows(
        self, groups: tf.Tensor, scores: tf.Tensor, targets: tf.Tensor
    ) -> tf.Tensor:
        is_there = targets >= 0
        groups, scores, gains = (
            tf.boolean_mask(column, is_there) for column in (groups, scores, targets)
        )
        order = order_of(groups, -scores)
        group = segment_ids(differs_from_previous(tf.gather(groups, order)))
        gains = tf.cast(tf.gather(gains, order), tf.float64)
        figures = self._of_groups(group, tf.gather(scores, order), gains)
        counts = tf.math.segment_max(gains, group) > 0
        total = tf.reduce_sum(tf.where(counts, figures, tf.zeros_like(figures)))
        return ratio(total, tf.reduce_sum(tf.cast(counts, tf.float64)))

    def _of_groups(
        self, group: tf.Tensor, scores: tf.Tensor, gains: tf.Tensor
    ) -> tf.Tensor:
        """The figure of each group, float64 [groups].

        Args:
            group: int32 [rows] from 0 on, never falling.
            scores: float32 [rows], falling within a group.
            gains: float64 [rows], labels.
        """
        raise NotImplementedError


def first_positives(
    group: tf.Tensor, scores: tf.Tensor, gains: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the best positive of each group is.

    Takes what `RankedGroupMetric._of_groups` takes.

    Returns:
        float64 [groups] each: rows above the best positive; rows that tie with it,
        itself included; positives among these. All 0 without a positive.
    """
    is_positive = gains > 0
    best = tf.math.segment_max(tf.where(is_positive, scores, -float("inf")), group)
    own = tf.gather(best, group)
    has_positive = tf.gather(tf.math.segment_max(gains, group) > 0, group)

    def count(rows: tf.Tensor) -> tf.Tensor:
        return tf.math.segment_sum(tf.cast(rows & has_positive, tf.float64), group)

    tied = tf.equal(scores, own)
    return count(scores > own), count(tied), count(tied & is_positive)
