"""ListPairs: sums over the pairs of samples that share a list, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from hgr_tf.groups import NestedLists

_LARGEST_TILE = 256

PairFunction = Callable[..., Sequence[tf.Tensor]]


class ListPairs:
    """The ordered pairs (i, j) of samples of weight above 0 that share a list.

    Samples are sorted once, so that the lists of every level are runs. The matrix
    of pairs is then visited in tiles of 256 x 256, and only where a list of the
    shallowest level reaches: time grows with the squared lengths of the lists, and
    memory with levels x 256 x 256, whatever the batch. It works under XLA.

    Args:
        lists: `NestedLists` of the batch.
    """

    def __init__(self, lists: NestedLists) -> None:
        ids = lists.groups.level_ids()[::-1]
        order = lists.groups.nested_order()
        self._size = tf.size(order)
        self._tile = _LARGEST_TILE
        if order.shape[0]:  # a small batch is one tile
            self._tile = min(order.shape[0], _LARGEST_TILE)
        self._blocks = tf.maximum((self._size + self._tile - 1) // self._tile, 1)
        self._order = order
        self._inverse = tf.math.invert_permutation(order)
        self._levels = len(ids)
        self._first, self._last = self._bands(tf.gather(ids[-1], order))
        # What is masked, and what pads the last tile, shares no list.
        ids = tf.where(lists.weights > 0, tf.stack(ids), -1)
        self._ids = self._arrange(ids, fill=-1)

    def sum(
        self,
        function: PairFunction,
        values: Sequence[tf.Tensor],
        num_results: int = 1,
    ) -> list[tf.Tensor]:
        """For each sample i of each level: sum_j function(i, j) over its list.

        No gradient flows through it: callers know a cheaper one.

        Args:
            function: Given the tuple of the values of i and that of those of j,
                which broadcast to [tile, tile] or [levels, tile, tile], it returns
                `num_results` tensors that broadcast to [levels, tile, tile]. It
                sees pairs of different lists too; what it says of them is dropped.
            values: float32 [batch] or [levels, batch] each, deepest level first.
            num_results: How many sums are computed at once.

        Returns:
            `num_results` tensors, float32 [levels, batch], deepest level first.
        """
        arranged = [self._arrange(tf.stop_gradient(value)) for value in values]
        shape = [num_results, self._levels, self._tile]

        def rows(block: tf.Tensor) -> tf.Tensor:
            ids = self._cut(self._ids, block)[..., :, None]
            of_rows = tuple(self._cut(value, block)[..., :, None] for value in arranged)

            def add(column: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                same = ids == self._cut(self._ids, column)[..., None, :]
                same &= ids >= 0
                cut = [self._cut(value, column) for value in arranged]
                found = function(of_rows, tuple(each[..., None, :] for each in cut))
                kept = [tf.where(same, result, 0.0) for result in found]
                return column + 1, sums + tf.reduce_sum(tf.stack(kept), axis=-1)

            last = self._last[block]
            start = self._first[block], tf.zeros(shape)
            return tf.while_loop(lambda column, _: column <= last, add, start)[1]

        sums = tf.map_fn(
            rows,
            tf.range(self._blocks),
            parallel_iterations=1,
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
        sums = tf.transpose(sums, [1, 2, 0, 3])
        sums = tf.reshape(sums, [*shape[:2], self._blocks * self._tile])
        return tf.unstack(tf.gather(sums, self._inverse, axis=2))

    def _bands(self, sorted_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """First and last block of columns that each block of rows has pairs in."""
        size = self._size
        changes = tf.cast(sorted_ids[1:] != sorted_ids[:-1], tf.int32)
        runs = tf.cumsum(tf.concat([tf.zeros_like(sorted_ids[:1]), changes], axis=0))
        positions = tf.range(size)
        starts = tf.math.unsorted_segment_min(positions, runs, size)
        ends = tf.math.unsorted_segment_max(positions, runs, size)
        edges = tf.range(self._blocks) * self._tile
        last_rows = tf.minimum(edges + self._tile, size) - 1
        # An empty batch has a block too.
        runs, starts, ends = (tf.pad(each, [[0, 1]]) for each in (runs, starts, ends))
        first = tf.gather(starts, tf.gather(runs, edges)) // self._tile
        last = tf.gather(ends, tf.gather(runs, tf.maximum(last_rows, 0))) // self._tile
        return first, last

    def _arrange(self, values: tf.Tensor, fill: float = 0) -> tf.Tensor:
        """Values [..., batch] in the order of the lists, padded to whole tiles."""
        values = tf.gather(values, self._order, axis=-1)
        missing = self._blocks * self._tile - self._size
        paddings = [[0, 0]] * (values.shape.rank - 1) + [[0, missing]]
        return tf.pad(values, paddings, constant_values=fill)

    def _cut(self, values: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
        """Tile number `block` of [..., padded] values."""
        leading = values.shape[:-1].as_list()
        begin = [0] * len(leading) + [block * self._tile]
        return tf.slice(values, begin, [*leading, self._tile])


def sum_by_list(lists: NestedLists, values: tf.Tensor) -> list[tf.Tensor]:
    """Sums of [levels, batch] values: a float32 [num_groups] for each level."""
    ids = lists.groups.level_ids()[::-1]
    return [
        tf.math.unsorted_segment_sum(values[level], ids[level], count)
        for level, count in enumerate(lists.num_groups)
    ]


def spread_to_samples(lists: NestedLists, of_lists: Sequence[tf.Tensor]) -> tf.Tensor:
    """Values of the groups of each level, at their samples: [levels, batch]."""
    ids = lists.groups.level_ids()[::-1]
    return tf.stack([tf.gather(v, i) for v, i in zip(of_lists, ids, strict=True)])
