import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.features import USER
from hgr_tf.metrics import group_auc
from hgr_tf.training import permutables, permutation_importance
from hgr_tf.training.importance import Permutable, random_cycle
from tests.prepared import SPEC

USERS, ITEMS, DIM = 50, 20, 4


def make_ranker(head):
    """A ranker of user and item ids; `head` makes logits of their embeddings."""
    user = tf.keras.Input((), name="user", dtype="int64")
    item = tf.keras.Input((), name="item", dtype="int64")
    e_user = tf.keras.layers.Embedding(USERS, DIM, "normal", name="user_embedding")(
        user
    )
    e_item = tf.keras.layers.Embedding(ITEMS, DIM, "normal", name="item_embedding")(
        item
    )
    ranker = tf.keras.Model({"user": user, "item": item}, head(e_user, e_item))
    random = np.random.default_rng(0)
    for name, rows in (("user_embedding", USERS), ("item_embedding", ITEMS)):
        ranker.get_layer(name).set_weights([random.normal(size=(rows, DIM))])
    return ranker


def taste(e_user, e_item):
    return tf.keras.layers.Dot(axes=1, name="logits")([e_user, e_item])


def bias(e_user, e_item):
    both = tf.keras.layers.Concatenate(name="both")([e_user, e_item])
    return tf.keras.layers.Dense(1, kernel_initializer="ones", name="logits")(both)


def clicks_of(ranker, weighted=False):
    """Clicks drawn from the ranker's own probabilities."""
    random = np.random.default_rng(1)
    user = random.integers(0, USERS, 5000)
    item = random.integers(0, ITEMS, 5000)
    inputs = {"user": user, "item": item, USER: user * 10**12}
    logits = ranker({"user": user, "item": item}).numpy()[:, 0]
    label = (random.random(5000) < 1 / (1 + np.exp(-logits))).astype("float32")
    columns = (inputs, label, random.random(5000)) if weighted else (inputs, label)
    return columns, logits


def batches(columns):
    return tf.data.Dataset.from_tensor_slices(columns).batch(999)


@pytest.mark.parametrize("weighted", [False, True])
def test_own_embeddings_give_the_rankers_own_metrics(weighted):
    ranker = make_ranker(taste)
    columns, logits = clicks_of(ranker, weighted)
    inputs, labels, *weights = columns
    found = permutation_importance(ranker, batches(columns))
    expected = group_auc(labels, logits, inputs[USER], *weights)
    assert found.gauc == pytest.approx(expected, abs=1e-6)
    losses = np.logaddexp(0, logits) - labels * logits
    expected = np.average(losses, weights=weights[0] if weights else None)
    assert found.log_loss == pytest.approx(expected, rel=1e-5)
    assert found.num_users == USERS


def test_taste_is_lost_with_anothers_embedding():
    ranker = make_ranker(taste)
    found = permutation_importance(
        ranker, batches(clicks_of(ranker)[0]), permutations=3
    )
    own = found.of["user_embedding"]
    assert found.gauc > 0.75
    assert found.gauc - own.gauc_drop == pytest.approx(0.5, abs=0.05)
    assert own.log_loss_rise > 0.3
    assert len(own.gauc_drops) == len(set(own.gauc_drops)) == 3
    assert own.gauc_spread == pytest.approx(np.std(own.gauc_drops, ddof=1))


def test_features_of_users_keep_their_users_together():
    ranker = make_ranker(bias)
    data = batches(clicks_of(ranker)[0])
    features = {
        "user": Permutable(("user",), by_user=True),
        "user by row": Permutable(("user",), by_user=False),
        "item": Permutable(("item",), by_user=False),
    }
    found = permutation_importance(
        ranker, data, user_embedding=None, features=features, permutations=2
    )
    assert set(found.of) == set(features)
    # Another user's bias moves no ranking within a user; another in each row does.
    assert abs(found.of["user"].gauc_drop) < 1e-6
    assert found.of["user"].log_loss_rise > 0.1
    assert found.of["user by row"].gauc_drop > 0.02
    assert found.gauc - found.of["item"].gauc_drop == pytest.approx(0.5, abs=0.03)


def test_the_user_embedding_and_its_only_feature_weigh_the_same():
    ranker = make_ranker(taste)
    data = batches(clicks_of(ranker)[0])
    features = {"user": Permutable(("user",), by_user=True)}
    found = permutation_importance(ranker, data, features=features, permutations=2)
    np.testing.assert_allclose(
        found.of["user"].gauc_drops, found.of["user_embedding"].gauc_drops, atol=1e-6
    )


def test_features_of_a_spec_are_found_by_name():
    found = permutables(SPEC, ["age", "tags"])
    assert found == {
        "age": Permutable(("age",), by_user=True),
        "tags": Permutable(("tags",), by_user=False),
    }
    with pytest.raises(ValueError, match=r"among \['age'.*got \['colour'\]"):
        permutables(SPEC, ["age", "colour"])


def test_user_bias_changes_log_loss_and_not_the_ranking():
    ranker = make_ranker(bias)
    found = permutation_importance(ranker, batches(clicks_of(ranker)[0]))
    assert abs(found.of["user_embedding"].gauc_drop) < 1e-4
    assert found.of["user_embedding"].log_loss_rise > 0.1


def test_ranker_of_probabilities():
    logits = make_ranker(taste)
    columns, _ = clicks_of(logits)
    probabilities = tf.keras.layers.Activation("sigmoid", name="click")
    ranker = tf.keras.Model(logits.input, probabilities(logits.output))
    found = permutation_importance(ranker, batches(columns), from_logits=False)
    expected = permutation_importance(logits, batches(columns))
    for one, other in zip(found, expected, strict=True):
        if not isinstance(one, dict):
            assert one == pytest.approx(other, rel=1e-4)
    swapped, wanted = found.of["user_embedding"], expected.of["user_embedding"]
    # The sigmoid rounds close logits to one probability, so that a few pairs tie.
    np.testing.assert_allclose(swapped.gauc_drops, wanted.gauc_drops, atol=1e-3)
    np.testing.assert_allclose(swapped.log_loss_rises, wanted.log_loss_rises, rtol=1e-4)


def test_seed_decides_the_permutation_and_weights_stay():
    ranker = make_ranker(taste)
    data = batches(clicks_of(ranker)[0])
    before = ranker.get_weights()
    assert permutation_importance(ranker, data) == permutation_importance(ranker, data)
    assert permutation_importance(ranker, data) != permutation_importance(
        ranker, data, seed=1
    )
    for old, new in zip(before, ranker.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("size", [2, 3, 100])
def test_nobody_keeps_their_own_embedding(size):
    cycle = random_cycle(size, np.random.default_rng(3))
    assert sorted(cycle) == list(range(size))
    assert (cycle != np.arange(size)).all()


def test_one_user_cannot_be_permuted():
    ranker = make_ranker(taste)
    (inputs, labels), _ = clicks_of(ranker)
    inputs[USER] = np.zeros(len(labels), "int64")
    with pytest.raises(ValueError, match="at least 2 users, got 1"):
        permutation_importance(ranker, batches((inputs, labels)))
    with pytest.raises(ValueError, match="at least 2 users, got 0"):
        permutation_importance(ranker, batches((inputs, labels)).take(0))


def test_unknown_layer_is_named():
    ranker = make_ranker(taste)
    with pytest.raises(ValueError, match="`user_embedding` must name a layer"):
        permutation_importance(
            ranker, batches(clicks_of(ranker)[0]), user_embedding="users"
        )
