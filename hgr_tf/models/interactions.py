"""Interaction layers: TFRS's where tf.keras is Keras 2, keras-rs's on Keras 3."""

import tensorflow as tf

from hgr_tf.compat import KERAS_3

if KERAS_3:
    from keras_rs.layers import DotInteraction, FeatureCross
else:
    from tensorflow_recommenders.layers import dcn, feature_interaction

    @tf.keras.utils.register_keras_serializable("hgr_tf")
    class DotInteraction(feature_interaction.DotInteraction):
        """TFRS's layer with a config: as it comes, a model with it cannot load."""

        def get_config(self):
            """Returns the arguments of the constructor."""
            config = super().get_config()
            config["self_interaction"] = self._self_interaction
            config["skip_gather"] = self._skip_gather
            return config


def cross(projection_dim, name):
    """Returns a DCN-v2 cross layer: f(x_0, x_l) = x_0 * (W x_l + b) + x_l.

    Args:
        projection_dim: Rank of W = U V; None for a full matrix.
        name: Of the layer.
    """
    layer = FeatureCross if KERAS_3 else dcn.Cross
    return layer(projection_dim, kernel_initializer="glorot_uniform", name=name)


def pairwise_dots(name):
    """Returns DLRM's layer of the dot products of every pair of vectors.

    Its output is [batch, n * n], zero at and above the diagonal: gathering the
    other half costs more than the zeros do, and does not compile under XLA.
    """
    return DotInteraction(skip_gather=True, name=name)
