"""SplitAttention: attention of many targets to one history, in two parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.functional.graph import arguments_of, layer_of, needs_its_own_call
from hgr_tf.layers.target_attention import AttendedHistories, TargetAttention

if TYPE_CHECKING:
    from keras import KerasTensor


class SplitAttention:
    """A TargetAttention whose histories are shared, and whose targets are not.

    What is made of a history alone is computed once, and the history is not
    repeated for its targets; see `TargetAttention`.

    Args:
        output: Symbolic output of the layer.

    Attributes:
        output: As given.
        others: The symbolic targets, in a list.
    """

    def __init__(self, output: KerasTensor):
        self.output = output
        self._layer = layer_of(output)
        self._arguments = arguments_of(output)
        self.others = [self._arguments["target"]]

    def run_shared(self, values: Mapping[int, tf.Tensor]) -> AttendedHistories:
        """What a history says to any target, given {id of a tensor: its value}."""
        keys, ids = (values[id(self._arguments[name])] for name in ("keys", "ids"))
        return self._layer.of_histories(keys, ids)

    def run_others(
        self,
        histories: AttendedHistories,
        others: Sequence[tf.Tensor],
        n: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The layer's output, [histories * n, dim], given as many targets.

        Those of a history lie together; without `n` it has one.
        """
        (targets,) = others
        width = targets.shape[-1]
        batch = tf.shape(histories.keys)[0]
        each = 1 if n is None else n
        pooled = self._layer.attend(
            histories, tf.reshape(targets, [batch, each, width])
        )
        return tf.reshape(pooled, [batch * each, width])


def split_attention(
    output: KerasTensor, is_shared: Mapping[int, bool]
) -> SplitAttention | None:
    """A `SplitAttention` of a symbolic tensor, or None where it cannot be one.

    Args:
        output: The symbolic tensor.
        is_shared: {id of a symbolic tensor: whether it is shared}, of what its
            layer takes.
    """
    layer = layer_of(output)
    # Subclasses may compute anything.
    if type(layer) is not TargetAttention or needs_its_own_call(layer):
        return None
    arguments = arguments_of(output)
    flags = {name: is_shared.get(id(each)) for name, each in arguments.items()}
    split = {"target": False, "keys": True, "ids": True}
    return SplitAttention(output) if flags == split else None
