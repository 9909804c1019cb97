"""ChiefCopy: the whole model on the chief, beside the shards on parameter servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf


class ChiefCopy:
    """A model of this process whose weights are those of one on parameter servers.

    It is what is evaluated, whose weights are written, and what an earlier run's
    weights are put into.

    Args:
        whole: A model of this process.
        sharded: The same model, made under the strategy: large tables are several
            variables, each of some rows, in their order.
    """

    def __init__(self, whole: tf.keras.Model, sharded: tf.keras.Model) -> None:
        self.model = whole
        self._pairs = list(_pairs(whole.weights, sharded.weights))

    def push(self) -> None:
        """Gives the parameter servers the weights of this process."""
        for whole, shards in self._pairs:
            start = 0
            for shard in shards:
                rows = slice(start, start + _rows(shard))
                shard.assign(whole if len(shards) == 1 else whole[rows])
                start = rows.stop

    def pull(self) -> None:
        """Gives this process the weights of the parameter servers."""
        for whole, shards in self._pairs:
            values = [shard.numpy() for shard in shards]
            whole.assign(values[0] if len(values) == 1 else np.concatenate(values))

    def shards(self) -> dict[str, int]:
        """Weights that lie in several shards, and in how many."""
        return {
            whole.name.partition(":")[0]: len(shards)
            for whole, shards in self._pairs
            if len(shards) > 1
        }


def _pairs(
    wholes: Sequence[tf.Variable], shards: Sequence[tf.Variable]
) -> Iterator[tuple[tf.Variable, list[tf.Variable]]]:
    """Each whole weight with the variables that it is made of."""
    left = iter(shards)
    for whole in wholes:
        parts = [next(left)]
        while sum(map(_rows, parts)) < _rows(whole):
            parts.append(next(left))
        yield whole, parts
    if list(left):
        raise ValueError("the model under the strategy has more weights than its copy")


def _rows(weight: tf.Variable) -> int:
    return weight.shape[0] if weight.shape.rank else 1
