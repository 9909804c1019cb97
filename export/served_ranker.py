"""The ranker that serves: the trained one without what only training knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.functional.graph import (
    input_tensors,
    is_functional,
    layer_of,
    output_of,
    parents,
    tensors_of,
)
from hgr_tf.layers.side_tower import SideTower

if TYPE_CHECKING:
    from keras import KerasTensor


def served_ranker(ranker: tf.keras.Model) -> tf.keras.Model:
    """Takes the side towers, and the inputs that they alone look at, off a ranker.

    Args:
        ranker: Its outputs may be those of `SideTower`s, one after the other.

    Returns:
        A model of the same layers, which gives what the ranker gives when it does not
        train: a tower with a constant leaves a number that is added to the logits. The
        ranker itself where it has no towers, or is not functional.
    """
    if not is_functional(ranker):
        return ranker
    outputs = output_of(ranker)
    named = outputs if isinstance(outputs, dict) else {"": outputs}
    served = {head: _served_output(head, output) for head, output in named.items()}
    if all(served[head] is named[head] for head in named):
        return ranker
    needed = {id(tensor) for tensor in tensors_of(*served.values())}
    of_towers = {id(t) for t in tensors_of(*named.values())} - needed
    inputs = {
        name: tensor
        for name, tensor in input_tensors(ranker).items()
        if id(tensor) not in of_towers
    }
    kept = served if isinstance(outputs, dict) else served[""]
    return tf.keras.Model(inputs, kept, name=ranker.name)


def _served_output(head: str, output: KerasTensor) -> KerasTensor:
    offset = 0.0
    while isinstance(layer_of(output), SideTower):
        offset += float(layer_of(output).offset)
        output = parents(output)[0]
    if not offset:
        return output
    name = f"offset_{head}" if head else "offset"
    return tf.keras.layers.Rescaling(1.0, offset, dtype="float32", name=name)(output)
