"""The roles of a run with parameter servers: the chief, and who serves it."""

from __future__ import annotations

import functools
import logging
import os
import socket
import time

import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.training.interrupted import WorkerLostError
from hgr_tf.training.run_folder import RunFolder
from hgr_tf.training.tf_config import Task, read_tf_config

log = logging.getLogger(__name__)

SMALLEST_SHARD = 256 << 10
"""Bytes of a table that go to a further parameter server at the least."""

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_WITHOUT_CHIEF = 20.0
"""How long a chief may be out of reach before its servers take it for gone."""


def parameter_server_task() -> Task:
    """The task of this process in a run with parameter servers.

    Raises:
        ValueError: Keras 3 is in use, or TF_CONFIG does not list one chief, workers,
            parameter servers, and this process among them.
    """
    if KERAS_3:
        raise ValueError(
            "`distribution.strategy` must not be 'parameter_server' on Keras 3, whose "
            "`fit` cannot train under it: use Python 3.10 or 3.11 with TensorFlow 2.15"
        )
    task = read_tf_config("chief", "worker", "ps")
    counts = {role: len(hosts) for role, hosts in task.cluster.items()}
    if counts.get("chief") != 1 or not counts.get("worker") or not counts.get("ps"):
        raise ValueError(
            "TF_CONFIG must list one chief, and at least one worker and one ps, where "
            f"`distribution.strategy` is 'parameter_server', got {counts}"
        )
    return task


def serve(folder: RunFolder) -> bool:
    """Serves the chief until its run is finished; on the chief, returns at once.

    Workers and parameter servers do what the chief sends. They look whether it can
    still be reached.

    Args:
        folder: The run folder that the chief writes.

    Returns:
        Whether this process is a server, and the run finished.

    Raises:
        WorkerLostError: The chief ended before the run was finished.
        ValueError: As of `parameter_server_task`.
    """
    task = parameter_server_task()
    _tell_of_lost_tasks()
    if task.role == "chief":
        return False
    log.info("serving the chief as %s %d", task.role, task.index)
    server = tf.distribute.Server(
        task.cluster, job_name=task.role, task_index=task.index, protocol="grpc"
    )
    _wait_for_the_end_of(task.cluster["chief"][0], folder)
    del server
    if not folder.is_finished:
        raise WorkerLostError(
            "the chief of the run ended or cannot be reached: start all processes "
            "again, and training goes on from the last checkpoint"
        )
    return True


def _wait_for_the_end_of(chief: str, folder: RunFolder) -> None:
    """Waits until the chief could be reached, and then no longer.

    A chief that did not finish its run may be started again within some seconds.
    """
    while not _is_reachable(chief):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    last_seen = time.monotonic()
    while time.monotonic() - last_seen < _SECONDS_WITHOUT_CHIEF:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        if _is_reachable(chief):
            last_seen = time.monotonic()
        elif folder.is_finished:
            return


def _is_reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except OSError:
        return False


@functools.cache
def parameter_server_strategy() -> tf.distribute.Strategy:
    """The chief's strategy: tables lie in shards on the parameter servers.

    Waits for the servers that TF_CONFIG lists.
    """
    servers = parameter_server_task().cluster["ps"]
    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(
        SMALLEST_SHARD, max_shards=len(servers)
    )
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    strategy = tf.distribute.ParameterServerStrategy(resolver, partitioner)
    if strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "each worker must have one GPU at most where `distribution.strategy` is "
            f"'parameter_server', got {strategy.num_replicas_in_sync}: choose it by "
            "CUDA_VISIBLE_DEVICES, and start a worker for each"
        )
    return strategy


def _tell_of_lost_tasks() -> None:
    # Without it, TensorFlow waits for a process that ended instead of raising.
    os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
