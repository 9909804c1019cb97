"""Looks lists of ids up in a small table, with a gradient that costs little."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.compat import KERAS_3, under_tape, under_xla

MOST_ROWS = 2**16
"""The gradient makes a sum for every row of the table, so that in larger tables it
may cost more than it saves when a batch holds few ids."""


def is_list_of_small_table(table: tf.Tensor | tf.Variable, ids: tf.Tensor) -> bool:
    """Whether a gradient may be made, and that of `look_up_lists` costs less.

    XLA does not compile what it uses, and graphs that are saved need no gradient.
    """
    few_rows = table.shape[0] <= MOST_ROWS
    is_list = isinstance(ids, tf.Tensor) and ids.shape.rank not in (None, 0, 1)
    fits = few_rows and is_list and ids.dtype in (tf.int32, tf.int64)
    return fits and under_tape() and not under_xla()


def look_up_lists(
    table: tf.Tensor | tf.Variable, ids: tf.Tensor, rows: bool = not KERAS_3
) -> tf.Tensor:
    """`tf.gather(table, ids)`, whose gradient sums the slices of each row at once.

    Lists hold many ids, and often the same: the gradient of tf.gather has a slice for
    each, which the optimizer sorts out at several times the cost. The gradient
    cannot be differentiated again.

    Args:
        table: [ids, dim].
        ids: Integers [...].
        rows: Whether the gradient is a tf.IndexedSlices that names each row of `ids`
            once, or as large as the table. By default rows on Keras 2 alone: Keras 3's
            optimizers do not sum the slices of several look-ups in one table.

    Returns:
        [..., dim].
    """

    @tf.custom_gradient
    def look_up(table: tf.Tensor) -> tuple:
        count, width = table.shape

        def gradient(upstream: tf.Tensor) -> tf.Tensor | tf.IndexedSlices:
            flat = tf.reshape(ids, [-1])
            slices = tf.reshape(upstream, [-1, width])
            # Without any id the op leaves its output as it found the memory.
            sums = tf.cond(
                tf.size(flat) > 0,
                lambda: _sum_slices(slices, flat, count),
                lambda: tf.zeros([count, width], slices.dtype),
            )
            if not rows:
                return sums
            is_seen = tf.raw_ops.DenseBincount(
                input=flat,
                size=tf.constant(count, flat.dtype),
                weights=tf.zeros([0]),
                binary_output=True,
            )
            seen = tf.reshape(tf.where(is_seen > 0), [-1])
            shape = tf.constant([count, width], seen.dtype)
            return tf.IndexedSlices(tf.gather(sums, seen), seen, shape)

        return tf.gather(table, ids), gradient

    return look_up(tf.convert_to_tensor(table))


def _sum_slices(slices: tf.Tensor, ids: tf.Tensor, count: int) -> tf.Tensor:
    """[count, width], where row r is the sum of the slices whose id is r."""
    return tf.raw_ops.SparseSegmentSumGrad(
        grad=slices,
        indices=ids,
        segment_ids=tf.range(tf.size(ids)),
        output_dim0=count,
    )
