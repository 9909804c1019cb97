"""OrderedLists: running sums over lists that are sorted by label."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.groups import NestedLists

NOTHING = -1e30
"""The logarithm of no mass at all; finite, so that differences of two are too."""


class OrderedLists:
    """For each sample, sums over the lower and the higher labels of its list.

    Every level is sorted by list and label; sums then double their reach from step
    to step, until they span the longest list. Sums stay inside of a list, so that
    heavy lists take no precision from light ones. It works under XLA.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
    """

    def __init__(self, lists: NestedLists, labels: tf.Tensor) -> None:
        ids = lists.groups.level_ids()[::-1]
        by_label = tf.argsort(labels, stable=True)
        orders = []
        for level in ids:
            by_list = tf.argsort(tf.gather(level, by_label), stable=True)
            orders.append(tf.gather(by_label, by_list))
        self._order = tf.stack(orders)
        self._inverse = tf.stack(list(map(tf.math.invert_permutation, orders)))
        self._positions = tf.range(tf.size(labels))[None]
        of_lists = tf.gather(tf.stack(ids), self._order, batch_dims=1)
        new_list = of_lists[:, 1:] != of_lists[:, :-1]
        sorted_labels = tf.gather(labels, self._order)
        new_label = new_list | (sorted_labels[:, 1:] != sorted_labels[:, :-1])
        self._list_starts, self._list_ends = self._ends_of_runs(new_list)
        self._label_starts, self._label_ends = self._ends_of_runs(new_label)
        present = tf.where(lists.weights > 0, 0.0, NOTHING)
        self.has_lower = self.log_sum_of_lower(present[None]) > NOTHING / 2
        """bool [levels, batch]: whether a lower label of weight above 0 is there."""

    def log_sum_of_lower(self, values: tf.Tensor) -> tf.Tensor:
        """Log sum_j exp(v_j) over the lower labels j of the list of each sample.

        Args:
            values: float32 [levels, batch], [1, batch] or [batch].

        Returns:
            float32 [levels, batch]; about `NOTHING` where there is no lower label.
        """
        return self._log_sum(values, 1, self._list_starts, self._label_starts - 1)

    def log_sum_of_higher(self, values: tf.Tensor) -> tf.Tensor:
        """As `log_sum_of_lower`, over the higher labels."""
        return self._log_sum(values, -1, self._list_ends, self._label_ends + 1)

    def _log_sum(
        self, values: tf.Tensor, direction: int, limits: tf.Tensor, read_at: tf.Tensor
    ) -> tf.Tensor:
        values = tf.broadcast_to(values, tf.shape(self._order))
        values = tf.gather(values, self._order, batch_dims=1)
        longest = tf.reduce_max(self._list_ends - self._list_starts)

        def add(reach: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sources = self._positions - direction * reach
            is_inside = direction * (sources - limits) >= 0
            sources = tf.where(is_inside, sources, 0)
            others = tf.gather(sums, sources, batch_dims=1)
            return 2 * reach, tf.where(is_inside, _log_add(sums, others), sums)

        _, sums = tf.while_loop(lambda reach, _: reach <= longest, add, (1, values))
        is_inside = direction * (read_at - limits) >= 0
        found = tf.gather(sums, tf.where(is_inside, read_at, 0), batch_dims=1)
        found = tf.where(is_inside, found, NOTHING)
        return tf.gather(found, self._inverse, batch_dims=1)

    def _ends_of_runs(self, changes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """First and last position of the run of each, [levels, batch]."""
        levels, size = tf.unstack(tf.shape(self._order))
        first = tf.zeros([levels, tf.minimum(size, 1)], tf.int32)
        runs = tf.concat([first, tf.cast(changes, tf.int32)], axis=1)
        # Runs of all levels are numbered apart.
        runs = tf.cumsum(runs, axis=1) + size * tf.range(levels)[:, None]
        positions = tf.broadcast_to(self._positions, tf.shape(runs))
        starts = tf.math.unsorted_segment_min(positions, runs, levels * size)
        ends = tf.math.unsorted_segment_max(positions, runs, levels * size)
        return tf.gather(starts, runs), tf.gather(ends, runs)


def _log_add(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.maximum(a, b) + tf.math.log1p(tf.exp(-tf.abs(a - b)))
