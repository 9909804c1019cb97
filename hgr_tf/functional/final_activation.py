"""Whether a functional ranker's last op is a sigmoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.functional.graph import is_functional, layer_of, parents

if TYPE_CHECKING:
    from keras import KerasTensor

_RESHAPING = (tf.keras.layers.Reshape, tf.keras.layers.Flatten)


def ends_in_sigmoid(ranker: tf.keras.Model) -> bool:
    """Whether an output of a ranker is a sigmoid's, so that it gives probabilities.

    Seen through nested models, reshapes and linear activations. False for a
    ranker that is not functional, whose graph is unknown.
    """
    return is_functional(ranker) and any(map(_is_sigmoid, ranker.outputs))


def _is_sigmoid(output: KerasTensor) -> bool:
    layer = layer_of(output)
    while True:
        name = _activation(layer)
        if name == "sigmoid":
            return True
        if isinstance(layer, tf.keras.Model):
            return ends_in_sigmoid(layer)
        is_linear = isinstance(layer, tf.keras.layers.Activation) and name == "linear"
        if not is_linear and not isinstance(layer, _RESHAPING):
            return False
        (output,) = parents(output)
        layer = layer_of(output)


def _activation(layer: tf.keras.layers.Layer) -> str:
    """Name of a layer's activation, or of the function that an op layer wraps."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        activation = getattr(layer, "function", None) or type(layer)
    return getattr(activation, "__name__", "").lower()
