"""Sums and gathers over the replicas of a `tf.distribute` strategy.

Outside a strategy, or with one replica, each is the identity.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.gradients import Gradient, unique_rows


@functools.cache
def mirrored_strategy(
    devices: tuple[str, ...] | None = None,
) -> tf.distribute.MirroredStrategy:
    """The process's `MirroredStrategy` over some devices, by default all GPUs.

    There is but one: each strategy counts its collective operations from the
    same number, and those of a second one would meet the first's.
    """
    return tf.distribute.MirroredStrategy(devices and list(devices))


def refuse_several_workers_on_keras_3() -> None:
    """Raises `ValueError` on Keras 3."""
    if KERAS_3:
        raise ValueError(
            "`strategy` must not be MultiWorkerMirroredStrategy on Keras 3, whose own "
            "`fit` fails under it: set TF_USE_LEGACY_KERAS=1 and install tf-keras, or "
            "use Python 3.10 or 3.11 with TensorFlow 2.15"
        )


def has_parameter_servers() -> bool:
    """Whether variables lie on parameter servers, large tables in shards."""
    strategy = tf.distribute.get_strategy()
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def num_replicas() -> int:
    """Number of replicas in sync, a Python int."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_replicated() -> bool:
    """Whether this is computed on each of several replicas."""
    return not tf.distribute.in_cross_replica_context() and num_replicas() > 1


def sum_over_replicas(tensors: Any) -> Any:
    """Sums each tensor of a structure over the replicas, all of a type in one go."""
    if not is_replicated():
        return tensors
    # What is read of a variable knows no device, which a strategy looks for.
    flat = [tf.identity(tensor) for tensor in tf.nest.flatten(tensors)]
    # Types apart: an int32 lives on the host, where floats may not.
    for dtype in dict.fromkeys(tensor.dtype for tensor in flat):
        places = [place for place, t in enumerate(flat) if t.dtype == dtype]
        _put(flat, places, _all_reduced([flat[place] for place in places]))
    return tf.nest.pack_sequence_as(tensors, flat)


def _all_reduced(value: Any) -> Any:
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def sum_gradients(
    gradients: Sequence[Gradient | None], variables: Sequence[tf.Variable]
) -> list[Gradient | None]:
    """Sums gradients over the replicas; those of tables stay rows, with duplicates.

    A strategy of several workers needs three exchanges, one after the other, for each
    tf.IndexedSlices, and each of them mostly waits. Here tables whose rows are alike
    are exchanged as one table.

    Args:
        gradients: One for each variable; None where there is none.
        variables: What they are the gradients of.
    """
    found = list(gradients)
    if not is_replicated():
        return found
    tables: dict[tuple[tf.TensorShape, tf.DType], list[int]] = defaultdict(list)
    others = []
    for place, (gradient, variable) in enumerate(zip(found, variables, strict=True)):
        if isinstance(gradient, tf.IndexedSlices) and variable.shape.is_fully_defined():
            tables[variable.shape[1:], gradient.dtype].append(place)
        elif gradient is not None:
            others.append(place)
    _put(found, others, sum_over_replicas([found[place] for place in others]))
    for (shape, _), places in tables.items():
        sizes = [variables[place].shape[0] for place in places]
        stack = _all_reduced(_stacked([found[place] for place in places], sizes))
        _put(found, places, _unstacked(stack, sizes, shape))
    return found


def _put(values: list[Any], places: list[int], others: Sequence[Any]) -> None:
    for place, other in zip(places, others, strict=True):
        values[place] = other


def _stacked(gradients: list[tf.IndexedSlices], sizes: list[int]) -> tf.IndexedSlices:
    """The gradient of tables below each other, of `sizes` rows; no row named twice."""
    values, indices = [], []
    for gradient, start, size in zip(gradients, _starts(sizes), sizes, strict=True):
        rows = unique_rows(gradient)
        # A GPU looks ids outside of a table up as zeros, without an error: such a row
        # must not become one of the next table.
        inside = tf.cast((rows.indices >= 0) & (rows.indices < size), rows.values.dtype)
        apart = tf.reshape(inside, [-1, *[1] * (rows.values.shape.rank - 1)])
        values.append(tf.math.multiply_no_nan(rows.values, apart))
        indices.append(
            start + tf.clip_by_value(tf.cast(rows.indices, tf.int64), 0, size - 1)
        )
    whole = tf.concat(values, axis=0)
    shape = tf.constant([sum(sizes), *whole.shape[1:]], tf.int64)
    return tf.IndexedSlices(whole, tf.concat(indices, axis=0), shape)


def _unstacked(
    stack: tf.IndexedSlices, sizes: list[int], shape: tf.TensorShape
) -> list[tf.IndexedSlices]:
    """The gradient of each table, the inverse of `_stacked`."""
    starts = _starts(sizes)
    table = tf.searchsorted(starts, stack.indices, side="right") - 1
    values = tf.ensure_shape(stack.values, [None, *shape])
    values = tf.dynamic_partition(values, table, len(sizes))
    indices = tf.dynamic_partition(stack.indices, table, len(sizes))
    return [
        tf.IndexedSlices(own, rows - start, tf.constant([size, *shape], tf.int64))
        for own, rows, start, size in zip(values, indices, starts, sizes, strict=True)
    ]


def _starts(sizes: list[int]) -> np.ndarray:
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


def gather_over_replicas(tensor: tf.Tensor) -> tf.Tensor:
    """Concatenates the replicas' tensors along axis 0; carries no gradient."""
    tensor = tf.stop_gradient(tensor)
    if not is_replicated():
        return tensor
    gathered = tf.distribute.get_replica_context().all_gather(tensor, axis=0)
    return tf.ensure_shape(gathered, [None, *tensor.shape[1:]])


def from_first_replica(tensors: Any) -> Any:
    """The first replica's structure of float tensors, on every replica."""
    if not is_replicated():
        return tensors
    context = tf.distribute.get_replica_context()
    is_first = tf.equal(context.replica_id_in_sync_group, 0)
    own = tf.nest.map_structure(
        lambda tensor: tf.where(is_first, tensor, tf.zeros_like(tensor)), tensors
    )
    return sum_over_replicas(own)


def gather_with_gradient(tensor: tf.Tensor) -> tf.Tensor:
    """Gathers over the replicas for a loss that each computes of the whole.

    Every replica gets the same concatenation and so the same loss. Gradients
    reach the replica's own rows only, multiplied by the number of replicas:
    once gradients are averaged over the replicas, each row's is that of the
    one global loss.
    """
    if not is_replicated():
        return tensor
    context = tf.distribute.get_replica_context()
    gathered = gather_over_replicas(tensor)
    sizes = gather_over_replicas(tf.shape(tensor)[:1])
    before = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
    after = tf.shape(gathered)[0] - before - tf.shape(tensor)[0]
    own = num_replicas() * (tensor - tf.stop_gradient(tensor))
    return gathered + tf.pad(own, [[before, after]])
