"""Two replicas on one machine without an accelerator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hgr_tf.distribute import mirrored_strategy
from hgr_tf.testing.checks import Structure


def two_cpu_devices() -> None:
    """Splits the CPU into two logical devices.

    Must run before TensorFlow's first operation, as in a conftest.py; a second
    call does nothing.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )


def two_replicas() -> tf.distribute.MirroredStrategy:
    """The process's `MirroredStrategy` over the devices of `two_cpu_devices`."""
    return mirrored_strategy(("CPU:0", "CPU:1"))


def run_on_halves(
    strategy: tf.distribute.Strategy,
    function: Callable[[Structure], Structure],
    inputs: Structure,
) -> list[tf.Tensor]:
    """Runs a function on two replicas, each with its half of the rows.

    Args:
        strategy: A strategy of two replicas.
        function: Called in each replica with its half of `inputs`.
        inputs: A structure of tensors of an even number of rows.

    Returns:
        A flat list of the tensors that the replicas returned.
    """

    def half(context: tf.distribute.experimental.ValueContext) -> Structure:
        index = context.replica_id_in_sync_group
        return tf.nest.map_structure(lambda rows: tf.split(rows, 2)[index], inputs)

    halves = strategy.experimental_distribute_values_from_function(half)
    outputs = tf.function(lambda rows: strategy.run(function, args=(rows,)))(halves)
    return [
        tensor
        for output in tf.nest.flatten(outputs)
        for tensor in strategy.experimental_local_results(output)
    ]


def copies(strategy: tf.distribute.Strategy, variable: tf.Variable) -> list[np.ndarray]:
    """The value of a variable on each replica, as numpy arrays.

    Args:
        strategy: The strategy in whose scope the variable was made.
        variable: A tf.Variable or a Keras 3 variable.
    """
    if not isinstance(variable, tf.Variable):
        variable = variable.value
    return [copy.numpy() for copy in strategy.experimental_local_results(variable)]
