from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from hgr_tf.compat import under_xla
from hgr_tf.distribute import gather_over_replicas

_INITIAL_CAPACITY = 1024


class RowBuffer:
    """Every row of a stream, in columns, for metrics that need them all.

    The columns are variables of unknown length whose capacity doubles, so a row
    costs amortised constant time. Under a `tf.distribute` strategy each replica
    appends the rows of all replicas, so that every copy is whole.

    The variables are not the metric's: Keras neither saves nor restores them,
    as millions of rows have no place in a model's file.

    Args:
        dtypes: Column name -> dtype.
    """

    def __init__(self, dtypes: Mapping[str, tf.DType]) -> None:
        self._columns = {
            name: local_variable(tf.zeros([_INITIAL_CAPACITY], dtype), shape=[None])
            for name, dtype in dtypes.items()
        }
        self._count = local_variable(tf.zeros([], tf.int64))

    def append(self, columns: Mapping[str, tf.Tensor]) -> None:
        """Adds a batch: column name -> [batch] tensor of the column's dtype.

        Raises:
            NotImplementedError: When traced under `jit_compile=True`.
        """
        _refuse_xla()
        columns = {name: gather_over_replicas(rows) for name, rows in columns.items()}
        start = tf.convert_to_tensor(self._count)
        end = start + tf.size(next(iter(columns.values())), out_type=tf.int64)
        for name, rows in columns.items():
            variable = self._columns[name]
            _reserve(variable, end)
            # In place: an assignment to the whole variable would copy it.
            tf.raw_ops.ResourceStridedSliceAssign(
                ref=variable.handle,
                begin=start[tf.newaxis],
                end=end[tf.newaxis],
                strides=tf.ones([1], tf.int64),
                value=rows,
            )
        self._count.assign(end)

    def rows(self) -> dict[str, tf.Tensor]:
        """Column name -> [rows] tensor, in the order of their coming."""
        count = self.count()
        return {
            name: tf.convert_to_tensor(variable)[:count]
            for name, variable in self._columns.items()
        }

    def count(self) -> tf.Tensor:
        """Number of rows, an int64 scalar."""
        return tf.convert_to_tensor(self._count)

    def clear(self) -> None:
        """Forgets the rows and keeps the capacity: an epoch is like the last."""
        self._count.assign(tf.zeros([], tf.int64))


def local_variable(
    value: tf.Tensor, shape: Sequence[int | None] | None = None
) -> tf.Variable:
    """A variable that each replica keeps for itself, alike on all of them."""
    return tf.Variable(
        value,
        shape=None if shape is None else tf.TensorShape(shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def _reserve(variable: tf.Variable, needed: tf.Tensor) -> None:
    # The shape without the contents: a tensor of these would have to be copied
    # before the next assignment in place.
    shape = tf.raw_ops.VariableShape(input=variable.handle, out_type=tf.int64)
    capacity = shape[0]

    def grow() -> bool:
        room = tf.maximum(needed, 2 * capacity) - capacity
        contents = tf.convert_to_tensor(variable)
        variable.assign(tf.pad(contents, [[0, room]]))
        return True

    tf.cond(needed > capacity, grow, lambda: False)


def _refuse_xla() -> None:
    if under_xla():
        raise NotImplementedError(
            "A metric that keeps every row cannot be compiled by XLA, which needs "
            "static shapes: call `compile(..., jit_compile=False)`, or update the "
            "metric outside the function with `jit_compile=True`."
        )
