"""Lists of ids are looked up as Keras does it, forward and backward."""

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.compat import KERAS_3, dtype_policy
from hgr_tf.layers import list_lookup
from hgr_tf.layers.masked_mean import MaskedMean

LISTS = np.array([[3, 3, 0], [5, 3, 1], [0, 0, 0], [1, 1, 1]])
RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(7, 2)).astype(np.float32)
OURS = (hgr_tf.layers.Embedding, hgr_tf.layers.RowEmbedding)


def built(kind):
    layer = kind(7, 2)
    layer.build((None,))
    layer.set_weights([TABLE])
    return layer


def gradient_of(layer, ids, upstream, **asked):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(ids, **asked), tf.float32) * upstream)
    return tape.gradient(loss, layer.trainable_variables[0])


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("shape", [(4, 3), (0, 3), (2, 2, 3), (12,)])
@pytest.mark.parametrize("kind", OURS)
def test_output_and_gradient_are_keras_s(kind, shape, jit_compile):
    ids = tf.constant(np.resize(LISTS, shape))
    upstream = tf.constant(RANDOM.normal(size=(*shape, 2)).astype(np.float32))
    layer, stock = built(kind), built(tf.keras.layers.Embedding)
    np.testing.assert_array_equal(layer(ids), stock(ids))

    def dense(ids, upstream):
        return tf.convert_to_tensor(gradient_of(layer, ids, upstream))

    if jit_compile is not None:
        dense = tf.function(dense, jit_compile=jit_compile)
    expected = tf.convert_to_tensor(gradient_of(stock, ids, upstream))
    np.testing.assert_allclose(dense(ids, upstream), expected, rtol=1e-5, atol=1e-6)


class Pooled(tf.keras.layers.Embedding):
    """What `pooling="mean"` stands for."""

    def call(self, ids):
        return MaskedMean()([super().call(ids), ids])


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("shape", [(4, 3), (0, 3), (2, 2, 3), (4, 0)])
@pytest.mark.parametrize("kind", OURS)
def test_a_pooled_list_is_the_mean_of_its_embeddings(kind, shape, jit_compile):
    ids = tf.constant(np.resize(LISTS, shape))
    upstream = tf.constant(RANDOM.normal(size=(*shape[:-1], 2)).astype(np.float32))
    layer, stock = built(kind), built(Pooled)
    with tf.GradientTape():  # the lookup of training
        np.testing.assert_array_equal(layer(ids, pooling="mean"), stock(ids))
    np.testing.assert_array_equal(layer(ids, pooling="mean"), stock(ids))

    def dense(ids, upstream):
        found = gradient_of(layer, ids, upstream, pooling="mean")
        return tf.convert_to_tensor(found)

    if jit_compile is not None:
        dense = tf.function(dense, jit_compile=jit_compile)
    expected = tf.convert_to_tensor(gradient_of(stock, ids, upstream))
    np.testing.assert_allclose(dense(ids, upstream), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", OURS)
def test_pooled_lists_of_a_saved_model(kind, tmp_path):
    ids = tf.keras.Input((3,), dtype="int64")
    model = tf.keras.Model(ids, kind(7, 2)(ids, pooling="mean"))
    assert model.output_shape == (None, 2)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(LISTS), model(LISTS))


def test_other_poolings_are_refused():
    with pytest.raises(ValueError, match="`pooling` must be None or 'mean', got 'sum'"):
        built(OURS[0])(tf.constant(LISTS), pooling="sum")
    masked = hgr_tf.layers.Embedding(7, 2, mask_zero=True)
    with pytest.raises(ValueError, match="`mask_zero` must be False, got True"):
        masked(tf.constant(LISTS), pooling="mean")


@pytest.mark.parametrize("kind", OURS)
def test_a_gradient_of_rows_names_each_row_once(kind):
    gradient = gradient_of(built(kind), tf.constant(LISTS), 1.0)
    if KERAS_3 and kind is hgr_tf.layers.Embedding:
        assert isinstance(gradient, tf.Tensor)  # as Keras 3's own
    else:
        np.testing.assert_array_equal(gradient.indices, [0, 1, 3, 5])


def test_large_tables_keep_the_slices_of_keras(monkeypatch):
    monkeypatch.setattr(list_lookup, "MOST_ROWS", 6)
    gradient = gradient_of(built(hgr_tf.layers.RowEmbedding), tf.constant(LISTS), 1.0)
    np.testing.assert_array_equal(gradient.indices, LISTS.ravel())


@pytest.mark.parametrize("kind", OURS)
def test_mixed_precision_sums_in_float32(kind):
    with dtype_policy("mixed_float16"):
        layer = built(kind)
    assert layer(LISTS).dtype == "float16"
    upstream = tf.constant(RANDOM.normal(size=(4, 3, 2)).astype(np.float32))
    found = tf.convert_to_tensor(gradient_of(layer, tf.constant(LISTS), upstream))
    stock = gradient_of(built(tf.keras.layers.Embedding), tf.constant(LISTS), upstream)
    expected = tf.convert_to_tensor(stock)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def weights_after_training(kind):
    tf.keras.utils.set_random_seed(1)
    item = tf.keras.Input((), dtype="int64")
    history = tf.keras.Input((3,), dtype="int64")
    table = built(kind)
    pooled = tf.keras.layers.GlobalAveragePooling1D()(table(history))
    joined = tf.keras.layers.Concatenate()([table(item), pooled])
    model = tf.keras.Model([item, history], tf.keras.layers.Dense(1)(joined))
    table.set_weights([TABLE])
    model.compile(tf.keras.optimizers.Adam(0.1), "mse")
    labels = np.float32([[1], [0], [2], [-1]])
    model.fit([LISTS[:, 0], LISTS], labels, epochs=5, verbose=0)
    return model.get_weights()


class ByProduct(tf.keras.layers.Embedding):
    """Looks up by a product with the whole table, so that its gradient is dense."""

    def call(self, ids):
        table = tf.convert_to_tensor(self.embeddings)
        return tf.tensordot(tf.one_hot(ids, self.input_dim), table, 1)


def test_training_by_adam_is_that_of_a_dense_gradient():
    # Not compared with Keras 3's own layer, whose slices its Adam squares one by one.
    ours, dense = map(weights_after_training, (OURS[0], ByProduct))
    for one, other in zip(ours, dense, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_weight_files_are_read_by_keras_s_own_layer(tmp_path):
    def model(kind):
        ids = tf.keras.Input((3,), dtype="int64")
        return tf.keras.Model(ids, kind(7, 2, name="table")(ids))

    ours, stock = model(OURS[0]), model(tf.keras.layers.Embedding)
    ours.save_weights(tmp_path / "model.weights.h5")
    stock.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(ours.get_weights()[0], stock.get_weights()[0])


def test_saved_graphs_hold_no_gradient():
    layer = built(OURS[0])
    traced = tf.function(layer.call).get_concrete_function(tf.constant(LISTS))
    assert "IdentityN" not in {op.type for op in traced.graph.get_operations()}
