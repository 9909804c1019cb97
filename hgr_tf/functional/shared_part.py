"""SharedPart: what several runs of a functional model have in common, run once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import tensorflow as tf

from hgr_tf.functional.graph import parents, run_graph, run_output, tensors_of
from hgr_tf.functional.split_attention import split_attention
from hgr_tf.functional.split_dense import split_dense

if TYPE_CHECKING:
    from keras import KerasTensor


class Split(Protocol):
    """A layer in two parts, of which one is made of shared tensors alone.

    Attributes:
        output: Symbolic output of the layer.
        others: The symbolic tensors that the layer takes which are not shared.
    """

    output: KerasTensor
    others: list[KerasTensor]

    def run_shared(self, values: Mapping[int, tf.Tensor]) -> Any:
        """The shared part's result, given {id of a symbolic tensor: its value}."""

    def run_others(
        self, shared: Any, others: Sequence[tf.Tensor], n: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The layer's output, given `run_shared`'s and the values of `others`.

        With `n`, these have n rows for each row that is shared.
        """


class SharedPart:
    """The part of a functional model that is made of some of its tensors alone.

    Its values are computed once, and given to every run of the rest. Layers that
    take shared tensors beside others are computed in two parts where that is
    faster: a Dense layer on a concatenation (`SplitDense`), and attention to a
    shared history by many targets (`SplitAttention`).

    Args:
        output: A symbolic tensor of the model, or a dict of them.
        inside: Symbolic tensors that the part is made of.
        outside: Symbolic tensors that are not in it whatever they are made of;
            inputs that are not `inside` need not be named.
        repeated: Whether the rest runs on several rows for each shared row, so that
            `run_rest` is always given `n`.
    """

    def __init__(
        self,
        output: KerasTensor | dict[str, KerasTensor],
        inside: Iterable[KerasTensor],
        outside: Iterable[KerasTensor] = (),
        repeated: bool = False,
    ):
        self._output = output
        is_shared = {id(tensor): True for tensor in inside}
        is_shared |= {id(tensor): False for tensor in outside}
        boundary: dict[int, KerasTensor] = {}
        self._splits: list[Split] = []
        fixed = set(is_shared)
        outputs = tf.nest.flatten(output)
        for tensor in tensors_of(*outputs):
            if id(tensor) in fixed:
                continue
            made_of = parents(tensor)
            shared = [parent for parent in made_of if is_shared[id(parent)]]
            is_shared[id(tensor)] = bool(made_of) and len(shared) == len(made_of)
            if not is_shared[id(tensor)]:
                boundary.update((id(parent), parent) for parent in shared)
                split: Split | None = split_dense(tensor, is_shared, fixed)
                if repeated and not split:
                    split = split_attention(tensor, is_shared)
                if split:
                    self._splits.append(split)
        boundary.update((id(each), each) for each in outputs if is_shared[id(each)])
        self._boundary = list(boundary.values())

    def run(self, known: Mapping[int, tf.Tensor], training: bool = False) -> list[Any]:
        """The values that the rest needs: what `run_rest` takes as `shared`.

        Args:
            known: {id of a symbolic tensor: its value} of those `inside`.
            training: Given to the layers that take it.
        """
        values = run_graph(self._boundary, known, training)
        by_tensor = dict(zip(map(id, self._boundary), values, strict=True))
        return [*values, *(split.run_shared(by_tensor) for split in self._splits)]

    def run_rest(
        self,
        shared: Sequence[Any],
        known: Mapping[int, tf.Tensor],
        training: bool = False,
        n: tf.Tensor | None = None,
    ) -> tf.Tensor | dict[str, tf.Tensor]:
        """The output, a value or a dict of them.

        Args:
            shared: What `run` returned.
            known: {id of a symbolic tensor: its value} of what is not shared.
            training: Given to the layers that take it.
            n: Scalar number of rows in `known` for each shared row, which lie
                together; None: as many rows as are shared.
        """
        count = len(self._boundary)
        values, parts = shared[:count], shared[count:]
        if n is not None:
            # A graph drops the copies of those that the splits alone need.
            values = [tf.repeat(value, n, axis=0) for value in values]
        known = {**known, **dict(zip(map(id, self._boundary), values, strict=True))}
        instead = {
            id(split.output): (
                split.others,
                functools.partial(split.run_others, part, n=n),
            )
            for split, part in zip(self._splits, parts, strict=True)
        }
        return run_output(self._output, known, training, instead)
