"""Keras layers: quantizer, embeddings, histories, side towers, weights of losses."""

from hgr_tf.layers.history_encoder import HistoryEncoder
from hgr_tf.layers.residual_vector_quantizer import (
    QuantizerOutput,
    ResidualVectorQuantizer,
)
from hgr_tf.layers.row_embedding import RowEmbedding
from hgr_tf.layers.side_tower import SideTower
from hgr_tf.layers.target_attention import TargetAttention
from hgr_tf.layers.uncertainty_weighting import UncertaintyWeighting

__all__ = [
    "HistoryEncoder",
    "QuantizerOutput",
    "ResidualVectorQuantizer",
    "RowEmbedding",
    "SideTower",
    "TargetAttention",
    "UncertaintyWeighting",
]
