"""Sums and maxima over nested groups, one pass over the batch for all levels."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hgr_tf.groups.prefix_groups import Groups


class NestedLists:
    """Reduces samples to groups, and groups to their parents.

    The batch is reduced once, to the deepest groups; every shallower level is
    reduced from the one below it.

    Args:
        groups: `Groups` of the batch.
        sample_weight: Optional float32 [batch], at least 0. A sample of weight
            w counts as w samples, one of weight 0 as none.
    """

    def __init__(self, groups: Groups, sample_weight: tf.Tensor | None = None) -> None:
        self.groups = groups
        self._weights = sample_weight
        # Deepest first: (ids to reduce by, number of groups).
        self._steps = list(
            zip(
                (groups.ids, *reversed(groups.parents)),
                reversed(groups.num_groups),
                strict=True,
            )
        )

    @property
    def ids(self) -> tf.Tensor:
        """int32 [batch]: group of each sample at the deepest level."""
        return self.groups.ids

    @property
    def parents(self) -> list[tf.Tensor]:
        """For each level but the shallowest, deepest first: parents of groups."""
        return [ids for ids, _ in self._steps[1:]]

    @property
    def num_groups(self) -> list[tf.Tensor]:
        """Number of groups of each level, deepest first."""
        return [count for _, count in self._steps]

    @property
    def weights(self) -> tf.Tensor:
        """float32 [batch]: weight of each sample."""
        if self._weights is None:
            return tf.ones_like(self.ids, tf.float32)
        return self._weights

    def weigh(self, values: tf.Tensor) -> tf.Tensor:
        """[batch] values times their weights."""
        return values if self._weights is None else self._weights * values

    def mask(self, values: tf.Tensor, fill: float) -> tf.Tensor:
        """[batch] values, with `fill` for the samples of weight 0."""
        if self._weights is None:
            return values
        return tf.where(self._weights > 0, values, fill)

    def lightest(self) -> tf.Tensor:
        """The smallest weight above 0, but 1 at most: a float32 scalar."""
        if self._weights is None:
            return tf.constant(1.0)
        return tf.minimum(tf.reduce_min(self.mask(self._weights, 1.0)), 1.0)

    def counts(self) -> list[tf.Tensor]:
        """Samples of weight above 0: a list of float32 [num_groups]."""
        if self._weights is None:
            sizes = tf.cast(self.groups.sizes, tf.float32)
            return self._reduce_groups(sizes, tf.math.unsorted_segment_sum)
        return self.sum(tf.cast(self._weights > 0, tf.float32))

    def sum(self, values: tf.Tensor) -> list[tf.Tensor]:
        """Sums of [batch] values: a list of [num_groups], deepest first."""
        return self._reduce(values, tf.math.unsorted_segment_sum)

    def max(self, values: tf.Tensor) -> list[tf.Tensor]:
        """Maxima of [batch] values: a list of [num_groups], deepest first.

        A group without samples has the lowest value of the dtype.
        """
        return self._reduce(values, tf.math.unsorted_segment_max)

    def min(self, values: tf.Tensor) -> list[tf.Tensor]:
        """Minima of [batch] values: a list of [num_groups], deepest first.

        A group without samples has the highest value of the dtype.
        """
        return self._reduce(values, tf.math.unsorted_segment_min)

    def sum_step(self, level: int, values: tf.Tensor) -> tf.Tensor:
        """Sums over step `level` alone (0: samples to the deepest groups)."""
        ids, count = self._steps[level]
        return tf.math.unsorted_segment_sum(values, ids, count)

    def _reduce(
        self, values: tf.Tensor, segment_reduce: Callable[..., tf.Tensor]
    ) -> list[tf.Tensor]:
        return self._reduce_groups(
            segment_reduce(values, *self._steps[0]), segment_reduce
        )

    def _reduce_groups(
        self, values: tf.Tensor, segment_reduce: Callable[..., tf.Tensor]
    ) -> list[tf.Tensor]:
        levels = [values]
        for ids, count in self._steps[1:]:
            levels.append(segment_reduce(levels[-1], ids, count))
        return levels


def two_classes(lists: NestedLists, labels: tf.Tensor) -> list[tf.Tensor]:
    """Which groups have samples of two different labels, deepest first.

    Args:
        lists: `NestedLists`.
        labels: float [batch].

    Returns:
        A list of bool [num_groups].
    """
    counts = lists.counts()
    kept = lists.mask(labels, 0.0)
    ones = lists.sum(kept)

    def of_binary() -> list[tf.Tensor]:
        pairs = zip(ones, counts, strict=True)
        return [(some > 0) & (some < count) for some, count in pairs]

    def of_graded() -> list[tf.Tensor]:
        highest = lists.max(lists.mask(labels, labels.dtype.min))
        lowest = lists.min(lists.mask(labels, labels.dtype.max))
        return [high > low for high, low in zip(highest, lowest, strict=True)]

    is_binary = tf.reduce_all(kept * kept == kept)
    # Numbers of ones below 2^24 are exact, and cost half of what extremes do.
    return tf.cond(is_binary, of_binary, of_graded)
