"""Interactions of features: crosses and dot products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3

if TYPE_CHECKING:
    from keras import KerasTensor

if KERAS_3:
    from keras_rs import layers as keras_rs_layers
else:
    from tensorflow_recommenders.layers import feature_interaction

    @tf.keras.utils.register_keras_serializable("hgr_tf")
    class DotInteraction(feature_interaction.DotInteraction):
        """TFRS's layer with a config: as it comes, a model with it cannot load."""

        def get_config(self) -> dict[str, Any]:
            """Returns the arguments of the constructor."""
            config = super().get_config()
            config["self_interaction"] = self._self_interaction
            config["skip_gather"] = self._skip_gather
            return config


def cross(
    base: KerasTensor, x: KerasTensor, projection_dim: int | None, name: str
) -> KerasTensor:
    """A DCN-v2 cross: f(x_0, x_l) = x_0 * (W x_l + b) + x_l.

    The same as TFRS's layer, but made of Dense layers: what a second pass, or the
    items of a request, share of the product is computed once (see `SplitDense`).

    Args:
        base: Symbolic tensor x_0, [batch, width].
        x: Symbolic tensor x_l, [batch, width].
        projection_dim: Rank of W = U V; None for a full matrix.
        name: Name of the Dense layer of W, or of U.

    Returns:
        The symbolic tensor f(x_0, x_l), [batch, width].
    """
    layers = tf.keras.layers
    product = x
    if projection_dim is not None:
        projection = layers.Dense(
            projection_dim, use_bias=False, name=f"{name}_projection"
        )
        product = projection(x)
    product = layers.Dense(base.shape[-1], name=name)(product)
    scaled = layers.Multiply(name=f"{name}_scaled")([base, product])
    return layers.Add(name=f"{name}_sum")([scaled, x])


def pairwise_dots(name: str) -> tf.keras.layers.Layer:
    """DLRM's layer of the dot products of every pair of vectors.

    Its output is [batch, n * n], zero at and above the diagonal: gathering the
    other half costs more than the zeros do, and does not compile under XLA.
    """
    layer = keras_rs_layers.DotInteraction if KERAS_3 else DotInteraction
    return layer(skip_gather=True, name=name)
