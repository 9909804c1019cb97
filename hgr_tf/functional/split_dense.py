"""SplitDense: a Dense layer on a concatenation, in two parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import tensorflow as tf

from hgr_tf.functional.graph import layer_of, needs_its_own_call, parents

if TYPE_CHECKING:
    from keras import KerasTensor

_Item = TypeVar("_Item")


class SplitDense:
    """A Dense layer on a concatenation of which some runs share a part.

    activation([x_s, x_o] W + b) = activation((x_s W_s + b) + x_o W_o), where x_s
    is shared: its product, which is most of the work when it is wide, is computed
    once, forward and backward.

    Args:
        output: Symbolic output of the layer.
        is_shared: {id of a symbolic tensor: whether it is shared}, of what is
            concatenated.

    Attributes:
        output: As given.
        others: The symbolic tensors concatenated that are not shared.
    """

    def __init__(self, output: KerasTensor, is_shared: Mapping[int, bool]):
        self.output = output
        self._layer = layer_of(output)
        self._parts = parents(parents(output)[0])
        self._flags = [is_shared[id(part)] for part in self._parts]
        self.others = self._select(False, self._parts)

    def run_shared(self, values: Mapping[int, tf.Tensor]) -> tf.Tensor:
        """x_s W_s + b, [rows, units], given {id of a symbolic tensor: its value}."""
        shared = [values[id(part)] for part in self._select(True, self._parts)]
        product = self._product(True, shared)
        if not self._layer.use_bias:
            return product
        return tf.nn.bias_add(product, self._cast(self._layer.bias))

    def run_others(
        self,
        shared_sum: tf.Tensor,
        others: Sequence[tf.Tensor],
        n: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The layer's output, given `run_shared`'s and the values of `others`.

        With `n`, these have n rows for each row of the sum.
        """
        if n is not None:
            shared_sum = tf.repeat(shared_sum, n, axis=0)
        return self._layer.activation(shared_sum + self._product(False, others))

    def _product(self, shared: bool, values: Iterable[tf.Tensor]) -> tf.Tensor:
        widths = [part.shape[-1] for part in self._parts]
        blocks = tf.split(self._cast(self._layer.kernel), widths)
        inputs = tf.concat([self._cast(value) for value in values], axis=1)
        return tf.matmul(inputs, tf.concat(self._select(shared, blocks), axis=0))

    def _select(self, shared: bool, items: Iterable[_Item]) -> list[_Item]:
        pairs = zip(items, self._flags, strict=True)
        return [item for item, flag in pairs if flag == shared]

    def _cast(self, value: tf.Tensor) -> tf.Tensor:
        return tf.cast(value, self._layer.compute_dtype)


def split_dense(
    output: KerasTensor, is_shared: Mapping[int, bool], fixed: Collection[int]
) -> SplitDense | None:
    """A `SplitDense` of a symbolic tensor, or None where it cannot be one.

    Args:
        output: The symbolic tensor.
        is_shared: {id of a symbolic tensor: whether it is shared}.
        fixed: Ids of symbolic tensors whose values are given.
    """
    layer = layer_of(output)
    # Subclasses may compute anything.
    if type(layer) is not tf.keras.layers.Dense or len(output.shape) != 2:
        return None
    if needs_its_own_call(layer):
        return None
    (concatenated,) = parents(output)
    is_given = id(concatenated) in fixed
    if is_given or type(layer_of(concatenated)) is not tf.keras.layers.Concatenate:
        return None
    flags = {is_shared[id(part)] for part in parents(concatenated)}
    return SplitDense(output, is_shared) if len(flags) == 2 else None
