"""`hgr_tf.features.kinds.weighted_categorical` in TensorFlow."""

from __future__ import annotations

from hgr_tf.feature_graphs.kinds.categorical import CategoricalGraph
from hgr_tf.feature_graphs.weighted_list import WeightedListGraph


class WeightedCategoricalGraph(WeightedListGraph, CategoricalGraph):
    """Looks up the values of lists, and takes their weights."""

    ids_of = CategoricalGraph.ids_of
