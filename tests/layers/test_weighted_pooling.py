"""Weighted means and sums of lists of embeddings."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers.weighted_pooling import WeightedPooling

IDS = tf.constant([[3, 0, 2], [0, 0, 0], [1, 1, 1]], tf.int64)
WEIGHTS = tf.constant([[0.5, 9.0, -1.5], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
VECTORS = tf.constant([[[1.0, -5.0], [9.0, 9.0], [2.0, -7.0]]] * 3)


@pytest.mark.parametrize(
    ("mode", "expected"), [("sum", [-2.5, 8.0]), ("mean", [-1.25, 4.0])]
)
def test_padding_counts_for_nothing_and_no_weight_gives_zeros(mode, expected):
    layer = WeightedPooling(mode)
    found = layer([VECTORS, IDS, WEIGHTS])
    np.testing.assert_array_equal(found, [expected, [0.0, 0.0], [0.0, 0.0]])
    again = WeightedPooling.from_config(layer.get_config())
    assert again.mode == mode


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="'mean' or 'sum', got 'max'"):
        WeightedPooling("max")
