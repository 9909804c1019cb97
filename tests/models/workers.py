"""Processes that train together, or one that trains alone, and what they log."""

import json
import os
import subprocess
import sys

from tests.addresses import free_addresses


class Worker:
    """A process that trains the model of test_reported_figures.

    Args:
        addresses: Of all workers; none for a process that trains alone.
        index: Which of the workers it is.
    """

    def __init__(self, addresses=(), index=0):
        task = {"type": "worker", "index": index}
        cluster = {"cluster": {"worker": list(addresses)}, "task": task}
        config = {"TF_CONFIG": json.dumps(cluster)} if addresses else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.models.workers"],
            env={**os.environ, **config},
            stdout=subprocess.PIPE,
            text=True,
        )

    def figures(self):
        """Name -> logged values, of the history and of an evaluation."""
        output, _ = self._process.communicate(timeout=300)
        assert self._process.returncode == 0
        return json.loads(output.splitlines()[-1])


def two_workers():
    """Two workers that find each other on free ports."""
    addresses = free_addresses(2)
    return [Worker(addresses, index) for index in range(2)]


def _strategy():
    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:
        return tf.distribute.get_strategy()
    ring = tf.distribute.experimental.CommunicationImplementation.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def _train():
    strategy = _strategy()  # before the first operation
    import tensorflow as tf

    from tests.models import test_reported_figures as cases

    def rows():
        options = tf.data.Options()
        policy = tf.data.experimental.AutoShardPolicy.DATA
        options.experimental_distribute.auto_shard_policy = policy
        return cases.dataset(60).with_options(options)

    with strategy.scope():
        model = cases.make_model(global_batch=True)
    stopping = tf.keras.callbacks.EarlyStopping("val_gauc", mode="max", patience=1)
    history = model.fit(
        rows(), validation_data=rows(), epochs=3, callbacks=[stopping], verbose=0
    ).history
    figures = model.evaluate(rows(), verbose=0, return_dict=True)
    logged = {name: list(map(float, values)) for name, values in history.items()}
    logged |= {f"evaluate_{name}": [float(v)] for name, v in figures.items()}
    print(json.dumps(logged))


if __name__ == "__main__":
    _train()
