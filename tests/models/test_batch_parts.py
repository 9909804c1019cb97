"""A batch computed in parts gives the gradient of the whole."""

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.models.batch_parts import add_gradients, after, num_rows, split_batch
from hgr_tf.optimizers import LazyAdam

keras = tf.keras
RANDOM = np.random.default_rng(4)
ROWS = 50
INPUTS = {"id": RANDOM.integers(0, 9, ROWS), "x": np.float32(RANDOM.normal(size=ROWS))}
LABELS = np.float32(RANDOM.random(ROWS) < 0.5)
WEIGHTS = np.float32(RANDOM.integers(0, 3, ROWS))


def make_model(parts, optimizer):
    keras.utils.set_random_seed(2)
    ids = keras.Input((), name="id", dtype="int64")
    x = keras.Input((), name="x")
    vector = hgr_tf.layers.RowEmbedding(9, 4)(ids)
    joined = keras.layers.Concatenate()([vector, keras.layers.Reshape([1])(x)])
    dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1))
    ranker = keras.Model({"id": ids, "x": x}, dense(joined))
    model = hgr_tf.HierarchicalGroupwiseRanker(ranker, gradient_accumulation=parts)
    model.compile(optimizer())
    return model


@pytest.mark.parametrize("optimizer", [lambda: keras.optimizers.SGD(0.5), LazyAdam])
@pytest.mark.parametrize("parts", [2, 3, pytest.param(64, marks=pytest.mark.slow)])
def test_parts_train_as_the_whole(optimizer, parts):
    data = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS, WEIGHTS)).batch(25)
    logged, trained = [], []
    for count in (1, parts):
        model = make_model(count, optimizer)
        logged.append(model.fit(data, epochs=2, verbose=0).history)
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for name, values in logged[0].items():
        np.testing.assert_allclose(logged[1][name], values, rtol=1e-4, err_msg=name)


def test_parts_are_the_rows_in_order():
    batch = {"a": tf.range(7), "b": tf.reshape(tf.range(14), [7, 2])}
    parts = [part for (part,) in split_batch((batch,), 3)]
    np.testing.assert_array_equal(tf.concat([p["a"] for p in parts], 0), batch["a"])
    assert [int(num_rows(p)) for p in parts] == [2, 2, 3]
    assert all(p["b"].shape[1] == 2 for p in parts)


def test_a_part_waits_for_the_gradients_before_it():
    with tf.Graph().as_default():
        rows = tf.IndexedSlices(tf.ones([2, 3]), tf.constant([0, 1]))
        (part,) = after([None, rows], (tf.ones([4]),))
        waits_for = {op.name for op in part.op.control_inputs}
        assert {rows.values.op.name, rows.indices.op.name} <= waits_for


def test_sums_of_rows_stay_rows():
    rows = tf.IndexedSlices(tf.ones([2, 3]), tf.constant([0, 1]), tf.constant([9, 3]))
    (total, nothing, one) = add_gradients([rows, None, None], [rows, None, rows.values])
    assert isinstance(total, tf.IndexedSlices) and nothing is None
    np.testing.assert_array_equal(total.indices, [0, 1, 0, 1])
    assert one is rows.values


def test_wrong_number_of_parts_is_named():
    with pytest.raises(ValueError, match=r"`gradient_accumulation` must be .*got 0"):
        make_model(0, LazyAdam)
