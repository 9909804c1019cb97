"""Sums and maxima of lists of embeddings."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers.masked_pooling import MaskedPooling

IDS = tf.constant([[3, 0, 2], [0, 0, 0]], tf.int64)
VECTORS = tf.constant(
    [[[1.0, -5.0], [9.0, 9.0], [2.0, -7.0]], [[4.0, 4.0]] * 3], tf.float32
)


@pytest.mark.parametrize(
    ("mode", "expected"), [("sum", [3.0, -12.0]), ("max", [2.0, -5.0])]
)
def test_padding_counts_for_nothing_and_no_id_gives_zeros(mode, expected):
    layer = MaskedPooling(mode)
    np.testing.assert_array_equal(layer([VECTORS, IDS]), [expected, [0.0, 0.0]])
    again = MaskedPooling.from_config(layer.get_config())
    assert again.mode == mode


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="'sum' or 'max', got 'median'"):
        MaskedPooling("median")
