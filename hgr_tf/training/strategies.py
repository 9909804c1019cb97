"""The strategies of `tf.distribute` that a run's config can ask for."""

from __future__ import annotations

import functools

import tensorflow as tf

from hgr_tf.distribute import mirrored_strategy, refuse_several_workers_on_keras_3
from hgr_tf.training.distribution_config import DistributionConfig
from hgr_tf.training.parameter_servers import parameter_server_strategy
from hgr_tf.training.tf_config import read_tf_config


def make_strategy(config: DistributionConfig) -> tf.distribute.Strategy:
    """Makes the strategy of a config, once for each process.

    "multi_worker" and "parameter_server" wait for all processes that TF_CONFIG lists,
    and must come before the process's first operation.

    Raises:
        ValueError: This Keras cannot train so, or TF_CONFIG does not say which worker
            this process is.
    """
    if config.strategy == "none":
        return tf.distribute.get_strategy()
    if config.strategy == "mirrored":
        return mirrored_strategy(config.devices)
    if config.strategy == "parameter_server":
        return parameter_server_strategy()
    refuse_several_workers_on_keras_3()
    read_tf_config("chief", "worker")
    return _multi_worker_strategy(config.communication)


@functools.cache
def _multi_worker_strategy(communication: str) -> tf.distribute.Strategy:
    experimental = tf.distribute.experimental
    kind = experimental.CommunicationImplementation[communication.upper()]
    options = experimental.CommunicationOptions(implementation=kind)
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
