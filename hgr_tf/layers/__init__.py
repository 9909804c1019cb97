"""Keras layers: the quantizer, embeddings and histories, tasks that share experts."""

from hgr_tf.layers.customized_gate_control import CustomizedGateControl
from hgr_tf.layers.embedding import Embedding
from hgr_tf.layers.history_encoder import HistoryEncoder
from hgr_tf.layers.multi_gate_mixture_of_experts import MultiGateMixtureOfExperts
from hgr_tf.layers.probability_product import ProbabilityProduct
from hgr_tf.layers.residual_vector_quantizer import (
    QuantizerOutput,
    ResidualVectorQuantizer,
)
from hgr_tf.layers.row_embedding import RowEmbedding
from hgr_tf.layers.side_tower import SideTower
from hgr_tf.layers.target_attention import TargetAttention
from hgr_tf.layers.uncertainty_weighting import UncertaintyWeighting

__all__ = [
    "CustomizedGateControl",
    "Embedding",
    "HistoryEncoder",
    "MultiGateMixtureOfExperts",
    "ProbabilityProduct",
    "QuantizerOutput",
    "ResidualVectorQuantizer",
    "RowEmbedding",
    "SideTower",
    "TargetAttention",
    "UncertaintyWeighting",
]
