"""Rankers of any make are cut at their user embedding."""

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.compat import KERAS_3
from hgr_tf.features import USER
from hgr_tf.models.ranker_halves import RankerHalves

keras = tf.keras
RANDOM = np.random.default_rng(4)
ROWS = 32
USERS = RANDOM.integers(0, 9, ROWS)
ITEMS = RANDOM.integers(0, 9, ROWS)
LABELS = np.tile(np.float32([0, 1]), ROWS // 2)


def ids(name):
    return keras.Input((), name=name, dtype="int64")


def embedding(name=None):
    return keras.layers.Embedding(10, 4, name=name)


def scored(inputs, user, item):
    joined = keras.layers.Concatenate()([user, item])
    return keras.Model(inputs, keras.layers.Dense(1)(joined))


def fit_by_name(ranker, features, **arguments):
    """Trains the paper's form on a dict of features and user ids."""
    model = hgr_tf.HierarchicalGroupwiseRanker(
        ranker,
        user_embedding="user_embedding",
        quantizer=hgr_tf.layers.ResidualVectorQuantizer(2, 4, initializer="random"),
        ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(2, user_level=True),
        quantized_loss_weight=0.5,
        **arguments,
    )
    model.compile("adam")
    history = model.fit({**features, USER: USERS}, LABELS, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    return model


def test_a_user_tower_that_is_a_model_of_its_own():
    source = ids("tower_user")
    hidden = keras.layers.Dense(4, "tanh")(embedding()(source))
    tower = keras.Model(source, hidden, name="user_embedding")
    user, item = ids("user"), ids("item")
    ranker = scored([user, item], tower(user), embedding()(item))
    halves = RankerHalves(ranker, "user_embedding")
    users = halves.embed_users([USERS, ITEMS])
    np.testing.assert_allclose(users, tower(USERS), rtol=1e-6)
    found = halves.rank([USERS, ITEMS], users)
    np.testing.assert_allclose(found, ranker([USERS, ITEMS]), rtol=1e-5, atol=1e-6)
    fit_by_name(ranker, {"user": USERS, "item": ITEMS})


@pytest.mark.parametrize("passes", [1, 2])
def test_layers_are_told_whether_they_train(passes):
    user, item = ids("user"), ids("item")
    dropped = keras.layers.Dropout(0.5)(embedding("user_embedding")(user))
    ranker = scored([user, item], dropped, embedding()(item))
    halves = RankerHalves(ranker, "user_embedding")
    users = [halves.embed_users([USERS, ITEMS])] * passes
    expected = ranker([USERS, ITEMS])
    for trains in (False, True):
        for found in halves.rank_each([USERS, ITEMS], users, trains):
            assert np.allclose(found, expected, rtol=1e-5, atol=1e-6) != trains


def test_a_layer_that_another_model_called_first():
    layer = embedding("user_embedding")
    elsewhere = ids("elsewhere")
    keras.Model(elsewhere, layer(elsewhere))
    user, item = ids("user"), ids("item")
    ranker = scored([user, item], layer(user), embedding()(item))
    users = RankerHalves(ranker, "user_embedding").embed_users([USERS, ITEMS])
    np.testing.assert_allclose(users, layer(USERS))


def test_a_layer_used_twice_is_refused_as_the_user_embedding():
    layer, user, item = embedding("user_embedding"), ids("user"), ids("item")
    ranker = scored([user, item], layer(user), layer(item))
    with pytest.raises(ValueError, match=r"uses once.*'user_embedding' with 2 outputs"):
        RankerHalves(ranker, "user_embedding")


def test_an_activity_regularizer_used_twice_is_refused():
    hidden = keras.layers.Dense(4, activity_regularizer="l2", name="hidden")
    user, item = ids("user"), ids("item")
    users = embedding("user_embedding")(user)
    ranker = scored([user, item], hidden(users), hidden(embedding()(item)))
    with pytest.raises(ValueError, match=r"activity regularizer.*'hidden' used 2"):
        RankerHalves(ranker, "user_embedding")
    once = scored([user, item], hidden(users), embedding()(item))
    RankerHalves(once, "user_embedding")


@pytest.mark.parametrize("structure", [list, dict])
def test_inputs_by_name_whatever_structure_the_ranker_takes(structure):
    user, item = ids("user"), ids("item")
    inputs = {"user": user, "item": item} if structure is dict else [user, item]
    ranker = scored(inputs, embedding("user_embedding")(user), embedding()(item))
    model = fit_by_name(ranker, {"user": USERS, "item": ITEMS})
    with pytest.raises(ValueError, match=r"missing \['item'\]"):
        model({"user": USERS})


def test_a_single_input_by_name():
    user = ids("user")
    output = keras.layers.Dense(1)(embedding("user_embedding")(user))
    fit_by_name(keras.Model(user, output), {"user": USERS})


def test_a_sequential_ranker():
    layers = [ids("user"), embedding("user_embedding"), keras.layers.Dense(1)]
    fit_by_name(keras.Sequential(layers), {"user": USERS})


@keras.utils.register_keras_serializable("tests")
class Signed(keras.layers.Layer):
    """Turns its inputs where their sum is negative, by an `if` on a tensor."""

    def call(self, inputs):
        if tf.reduce_sum(inputs) < 0.0:
            inputs = -inputs
        return inputs


@pytest.mark.skipif(KERAS_3, reason="Keras 3 converts no `if` of a layer")
def test_a_layer_of_ones_own_may_branch_on_tensors():
    user, item = ids("user"), ids("item")
    users = embedding("user_embedding")(user)
    ranker = scored([user, item], users, Signed()(embedding()(item)))
    model = fit_by_name(ranker, {"user": USERS, "item": ITEMS})
    inputs = {"user": USERS, "item": ITEMS, USER: USERS}
    assert np.isfinite(
        model.evaluate(inputs, LABELS, verbose=0, return_dict=True)["loss"]
    )


@pytest.mark.skipif(KERAS_3, reason="Keras 3 on TensorFlow takes no ragged inputs")
@pytest.mark.parametrize("kind", ["ragged", "sparse"])
def test_inputs_that_are_no_plain_tensors(kind):
    user = ids("user")
    users = embedding("user_embedding")(user)
    words = RANDOM.integers(0, 3, (ROWS, 5))
    if kind == "ragged":
        tags = keras.Input((None,), name="tags", dtype="int64", ragged=True)
        item = keras.layers.Lambda(lambda x: tf.reduce_mean(x, axis=1))(
            embedding()(tags)
        )
        features = tf.RaggedTensor.from_tensor(words, padding=0)
    else:
        tags = keras.Input((5,), name="tags", dtype="float32", sparse=True)
        item = keras.layers.Dense(4)(tags)
        features = tf.sparse.from_dense(words.astype(np.float32))
    ranker = scored({"user": user, "tags": tags}, users, item)
    inputs = {"user": tf.constant(USERS), "tags": features}
    halves = RankerHalves(ranker, "user_embedding")
    found = halves.rank(inputs, halves.embed_users(inputs))
    np.testing.assert_allclose(found, ranker(inputs), rtol=1e-5, atol=1e-6)
