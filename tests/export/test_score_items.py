import numpy as np
import tensorflow as tf

from hgr_tf.export.score_items import score_items
from tests.export.models import small_ranker


class Counted(tf.keras.layers.Layer):
    """Notes how many rows it saw."""

    rows = ()

    def call(self, x):
        Counted.rows += (x.shape[0],)
        return x


def two_tower_ranker():
    user = tf.keras.Input((3,), name="user")
    item = tf.keras.Input((3,), name="item")
    both = tf.keras.layers.Dense(4, name="shared_by_both_towers")
    tower = Counted(name="user_side")(both(user))
    product = tf.keras.layers.Multiply()([tower, both(item), both(user)])
    product = Counted(name="item_side")(product)
    return tf.keras.Model(
        {"user": user, "item": item}, tf.keras.layers.Dense(1)(product)
    )


def test_layers_of_the_request_run_on_its_row_alone():
    ranker = two_tower_ranker()
    user, items = np.float32([[1, 2, 3], [4, 5, 6]]), np.float32(np.eye(3))
    items = np.tile(items, [2, 1])
    Counted.rows = ()
    score = score_items(ranker, ["user"])
    scores = score({"user": tf.constant(user)}, {"item": tf.constant(items)}, 3)
    assert Counted.rows == (2, 6)
    expected = ranker({"user": np.repeat(user, 3, axis=0), "item": items})
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_the_ranker_can_still_be_cloned_and_saved(tmp_path):
    ranker = small_ranker()
    score_items(ranker, ["user", "city", "age", "page"])
    tf.keras.models.clone_model(ranker)
    ranker.save(tmp_path / "ranker.keras")


def test_a_model_without_a_graph_repeats_its_requests():
    class Product(tf.keras.Model):
        def call(self, inputs):
            return tf.reduce_sum(inputs["user"] * inputs["item"], axis=1)

    score = score_items(Product(), ["user"])
    users, items = (
        tf.constant([[1.0], [2.0]]),
        tf.constant([[3.0], [4.0], [5.0], [6.0]]),
    )
    scores = score({"user": users}, {"item": items}, 2)
    np.testing.assert_allclose(scores, [3, 4, 10, 12])
