"""Keras layers: the residual vector quantizer, row embeddings, loss weighting."""

from hgr_tf.layers.residual_vector_quantizer import (
    QuantizerOutput,
    ResidualVectorQuantizer,
)
from hgr_tf.layers.row_embedding import RowEmbedding
from hgr_tf.layers.uncertainty_weighting import UncertaintyWeighting

__all__ = [
    "QuantizerOutput",
    "ResidualVectorQuantizer",
    "RowEmbedding",
    "UncertaintyWeighting",
]
