import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import RowEmbedding


def built(**arguments):
    layer = RowEmbedding(5, 2, **arguments)
    layer.build((None,))
    layer.set_weights([np.arange(10, dtype=np.float32).reshape(5, 2)])
    return layer


def test_looks_up_as_keras_does():
    layer, stock = built(), tf.keras.layers.Embedding(5, 2)
    stock.build((None,))
    stock.set_weights(layer.get_weights())
    ids = np.array([[0, 4], [4, 2]])
    np.testing.assert_array_equal(layer(ids), stock(ids))


def test_penalty_counts_each_looked_up_row_once():
    layer = built(l2=0.5)
    layer(tf.constant([3, 3, 0]))
    rows = np.arange(10.0).reshape(5, 2)[[0, 3]]
    np.testing.assert_allclose(sum(layer.losses), 0.5 * np.square(rows).sum())


def test_gradient_of_the_penalty_is_rows():
    layer = built(l2=0.5)
    with tf.GradientTape() as tape:
        layer(tf.constant([3, 3, 0]))
        loss = sum(layer.losses)
    gradient = tape.gradient(loss, layer.trainable_variables[0])
    assert isinstance(gradient, tf.IndexedSlices)
    dense = tf.convert_to_tensor(gradient)
    expected = np.zeros((5, 2))
    expected[[0, 3]] = np.arange(10.0).reshape(5, 2)[[0, 3]]
    np.testing.assert_allclose(dense, expected)


def test_a_negative_penalty_is_refused():
    with pytest.raises(ValueError, match="`l2` must be at least 0, got -1"):
        RowEmbedding(5, 2, l2=-1)
