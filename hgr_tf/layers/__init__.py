"""Keras layers: the residual vector quantizer and the weighting of losses."""

from hgr_tf.layers.residual_vector_quantizer import (
    QuantizerOutput,
    ResidualVectorQuantizer,
)
from hgr_tf.layers.uncertainty_weighting import UncertaintyWeighting

__all__ = ["QuantizerOutput", "ResidualVectorQuantizer", "UncertaintyWeighting"]
