"""SharedPart: what several runs of a functional model have in common, run once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.functional.graph import parents, run_graph, run_output, tensors_of
from hgr_tf.functional.split_dense import SplitDense, split_dense

if TYPE_CHECKING:
    from keras import KerasTensor


class SharedPart:
    """The part of a functional model that is made of some of its tensors alone.

    Its values are computed once, and given to every run of the rest. A Dense
    layer on a concatenation that is shared in part is computed in two parts too;
    see `SplitDense`.

    Args:
        output: A symbolic tensor of the model, or a dict of them.
        inside: Symbolic tensors that the part is made of.
        outside: Symbolic tensors that are not in it whatever they are made of;
            inputs that are not `inside` need not be named.
    """

    def __init__(
        self,
        output: KerasTensor | dict[str, KerasTensor],
        inside: Iterable[KerasTensor],
        outside: Iterable[KerasTensor] = (),
    ):
        self._output = output
        is_shared = {id(tensor): True for tensor in inside}
        is_shared |= {id(tensor): False for tensor in outside}
        boundary: dict[int, KerasTensor] = {}
        self._splits: list[SplitDense] = []
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
                if split := split_dense(tensor, is_shared, fixed):
                    self._splits.append(split)
        boundary.update((id(each), each) for each in outputs if is_shared[id(each)])
        self._boundary = list(boundary.values())

    def run(
        self, known: Mapping[int, tf.Tensor], training: bool = False
    ) -> list[tf.Tensor]:
        """The values that the rest needs, a list of [rows, ...] tensors.

        Args:
            known: {id of a symbolic tensor: its value} of those `inside`.
            training: Given to the layers that take it.
        """
        values = run_graph(self._boundary, known, training)
        by_tensor = dict(zip(map(id, self._boundary), values, strict=True))
        return [*values, *(split.run_shared(by_tensor) for split in self._splits)]

    def run_rest(
        self,
        shared: Sequence[tf.Tensor],
        known: Mapping[int, tf.Tensor],
        training: bool = False,
    ) -> tf.Tensor | dict[str, tf.Tensor]:
        """The output, a value or a dict of them.

        Args:
            shared: What `run` returned; its rows may have been repeated.
            known: {id of a symbolic tensor: its value} of what is not shared.
            training: Given to the layers that take it.
        """
        known = {**known, **dict(zip(map(id, self._boundary), shared, strict=False))}
        sums = shared[len(self._boundary) :]
        instead = {
            id(split.output): (split.others, functools.partial(split.run_others, sum_))
            for split, sum_ in zip(self._splits, sums, strict=True)
        }
        return run_output(self._output, known, training, instead)
