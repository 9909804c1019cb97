"""Sums and gathers over the replicas of a `tf.distribute` strategy.

Outside a strategy, or with one replica, each is the identity.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3


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


def num_replicas() -> int:
    """Number of replicas in sync, a Python int."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def _replicated() -> bool:
    return not tf.distribute.in_cross_replica_context() and num_replicas() > 1


def sum_over_replicas(tensors: Any) -> Any:
    """Sums each tensor of a structure over the replicas."""
    if not _replicated():
        return tensors
    context = tf.distribute.get_replica_context()
    # One by one: strategies refuse to sum int32, which lives on the host,
    # together with floats.
    return tf.nest.map_structure(
        lambda tensor: context.all_reduce(tf.distribute.ReduceOp.SUM, tensor), tensors
    )


def gather_over_replicas(tensor: tf.Tensor) -> tf.Tensor:
    """Concatenates the replicas' tensors along axis 0; carries no gradient."""
    tensor = tf.stop_gradient(tensor)
    if not _replicated():
        return tensor
    gathered = tf.distribute.get_replica_context().all_gather(tensor, axis=0)
    return tf.ensure_shape(gathered, [None, *tensor.shape[1:]])


def from_first_replica(tensor: tf.Tensor) -> tf.Tensor:
    """The first replica's float tensor, on every replica."""
    if not _replicated():
        return tensor
    context = tf.distribute.get_replica_context()
    is_first = tf.equal(context.replica_id_in_sync_group, 0)
    return sum_over_replicas(tf.where(is_first, tensor, tf.zeros_like(tensor)))


def gather_with_gradient(tensor: tf.Tensor) -> tf.Tensor:
    """Gathers over the replicas for a loss that each computes of the whole.

    Every replica gets the same concatenation and so the same loss. Gradients
    reach the replica's own rows only, multiplied by the number of replicas:
    once gradients are averaged over the replicas, each row's is that of the
    one global loss.
    """
    if not _replicated():
        return tensor
    context = tf.distribute.get_replica_context()
    gathered = gather_over_replicas(tensor)
    sizes = gather_over_replicas(tf.shape(tensor)[:1])
    before = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
    after = tf.shape(gathered)[0] - before - tf.shape(tensor)[0]
    own = num_replicas() * (tensor - tf.stop_gradient(tensor))
    return gathered + tf.pad(own, [[before, after]])
