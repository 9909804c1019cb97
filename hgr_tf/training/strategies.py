"""The strategies of `tf.distribute` that a run's config can ask for."""

from __future__ import annotations

import functools
import json
import os

import tensorflow as tf

from hgr_tf.distribute import mirrored_strategy, refuse_several_workers_on_keras_3
from hgr_tf.training.distribution_config import DistributionConfig

_ROLES = ("chief", "worker")


def make_strategy(config: DistributionConfig) -> tf.distribute.Strategy:
    """Makes the strategy of a config, once for each process.

    "multi_worker" waits for all workers that TF_CONFIG lists, and must come before the
    process's first operation.

    Raises:
        ValueError: This Keras cannot train so, or TF_CONFIG does not say which worker
            this process is.
    """
    if config.strategy == "none":
        return tf.distribute.get_strategy()
    if config.strategy == "mirrored":
        return mirrored_strategy(config.devices)
    refuse_several_workers_on_keras_3()
    _check_tf_config(os.environ.get("TF_CONFIG"))
    return _multi_worker_strategy(config.communication)


@functools.cache
def _multi_worker_strategy(communication: str) -> tf.distribute.Strategy:
    experimental = tf.distribute.experimental
    kind = experimental.CommunicationImplementation[communication.upper()]
    options = experimental.CommunicationOptions(implementation=kind)
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def _check_tf_config(text: str | None) -> None:
    form = (
        '{"cluster": {"worker": ["host:port", ...]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(text or "{}")
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        known = index in range(len(cluster[kind]))
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            "TF_CONFIG must tell the workers and which of them this process is, "
            f"as {form}; got {text!r}"
        ) from None
    roles = [role for role in cluster if role not in _ROLES]
    if roles or not known:
        raise ValueError(
            f"TF_CONFIG must list {' and '.join(_ROLES)} tasks alone, and this process "
            f"among them, got {sorted(cluster)} and {kind} {index}"
        )
