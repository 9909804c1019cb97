"""Looks lists of ids up in a small table, with a gradient that costs little."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.compat import under_tape, under_xla
from hgr_tf.layers.masked_mean import masked_mean, num_present, present_ids

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
    table: tf.Tensor | tf.Variable, ids: tf.Tensor, rows: bool
) -> tf.Tensor:
    """`tf.gather(table, ids)`, whose gradient sums the slices of each row at once.

    Lists hold many ids, and often the same: the gradient of tf.gather has a slice for
    each, which the optimizer sorts out at several times the cost. The gradient
    cannot be differentiated again.

    Args:
        table: [ids, dim].
        ids: Integers [...].
        rows: Whether the gradient is a tf.IndexedSlices that names each row of `ids`
            once, or as large as the table.

    Returns:
        [..., dim].
    """

    @tf.custom_gradient
    def look_up(table: tf.Tensor) -> tuple:
        def gradient(upstream: tf.Tensor) -> tf.Tensor | tf.IndexedSlices:
            slices = tf.reshape(upstream, [-1, table.shape[1]])
            sums = _sums_by_row(slices, tf.range(tf.size(ids)), ids, table.shape[0])
            return _rows_seen(sums, ids) if rows else sums

        return tf.gather(table, ids), gradient

    return look_up(tf.convert_to_tensor(table))


def mean_of_lists(
    table: tf.Tensor | tf.Variable, ids: tf.Tensor, rows: bool
) -> tf.Tensor:
    """`masked_mean` of what `look_up_lists` gives, whose gradient costs less still.

    The upstream gradient of a list is added to the rows of its ids without a copy for
    each of them. The gradient of row 0 is 0.

    Args:
        table: [ids, dim].
        ids: Integers [..., length], where 0 says that there is no id.
        rows: As of `look_up_lists`.

    Returns:
        [..., dim].
    """

    @tf.custom_gradient
    def mean(table: tf.Tensor) -> tuple:
        def gradient(upstream: tf.Tensor) -> tf.Tensor | tf.IndexedSlices:
            width = table.shape[1]
            present = num_present(present_ids(ids, upstream.dtype))
            slices = tf.reshape(upstream / present, [-1, width])
            lists = tf.range(tf.shape(slices)[0])[:, tf.newaxis]
            of_lists = tf.broadcast_to(lists, [tf.shape(slices)[0], tf.shape(ids)[-1]])
            sums = _sums_by_row(slices, of_lists, ids, table.shape[0])
            none = tf.zeros([1, width], sums.dtype)
            sums = tf.tensor_scatter_nd_update(sums, [[0]], none)
            return _rows_seen(sums, ids) if rows else sums

        return masked_mean(tf.gather(table, ids), ids), gradient

    return mean(tf.convert_to_tensor(table))


def _sums_by_row(
    slices: tf.Tensor, of_slices: tf.Tensor, ids: tf.Tensor, count: int
) -> tf.Tensor:
    """[count, width], where row r is the sum of the slices of the ids that are r.

    Args:
        slices: [slices, width].
        of_slices: Number of the slice of each id, ascending.
        ids: Integers of as many elements.
        count: Number of rows.
    """
    # Without any id the op leaves its output as it found the memory.
    return tf.cond(
        tf.size(ids) > 0,
        lambda: tf.raw_ops.SparseSegmentSumGrad(
            grad=slices,
            indices=tf.reshape(ids, [-1]),
            segment_ids=tf.reshape(of_slices, [-1]),
            output_dim0=count,
        ),
        lambda: tf.zeros([count, slices.shape[1]], slices.dtype),
    )


def _rows_seen(sums: tf.Tensor, ids: tf.Tensor) -> tf.IndexedSlices:
    """Those of the rows [count, width] that `ids` names, each once."""
    count, width = sums.shape
    is_seen = tf.raw_ops.DenseBincount(
        input=tf.reshape(ids, [-1]),
        size=tf.constant(count, ids.dtype),
        weights=tf.zeros([0]),
        binary_output=True,
    )
    seen = tf.reshape(tf.where(is_seen > 0), [-1])
    shape = tf.constant([count, width], seen.dtype)
    return tf.IndexedSlices(tf.gather(sums, seen), seen, shape)
