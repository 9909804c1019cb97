"""A side tower moves logits in training, and by a constant or not at all after it."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import SideTower

LOGITS = tf.constant([[0.5], [-1.0], [2.0]])
IDS = tf.constant([1, 3, 3], tf.int64)


def by_hand(tower, values):
    """w^T relu(W e(x) + b) of each value, in numpy."""
    *table, kernel, bias, last = (weight.numpy() for weight in tower.weights)
    vectors = table[0][values] if table else np.float32(values)[:, None]
    return np.maximum(vectors @ kernel + bias, 0) @ last


@pytest.mark.parametrize(("num_ids", "values"), [(4, IDS), (None, [0.5, -2.0, 1.0])])
def test_values_count_in_training_and_the_constant_after_it(num_ids, values):
    values = tf.constant(values)
    tower = SideTower(num_ids, constant=2)
    trained = tower(LOGITS, values, training=True)
    np.testing.assert_allclose(
        trained, LOGITS + by_hand(tower, values.numpy()), rtol=1e-5
    )
    served = tower(LOGITS, values)
    np.testing.assert_allclose(served, LOGITS + by_hand(tower, [2])[0], rtol=1e-5)
    np.testing.assert_allclose(tower.offset, by_hand(tower, [2]), rtol=1e-5)
    assert np.abs(trained - served).max() > 0


def test_without_a_constant_only_the_logits_are_left():
    tower = SideTower(4)
    assert np.abs(tower(LOGITS, IDS, training=True) - LOGITS).max() > 0
    np.testing.assert_array_equal(tower(LOGITS, IDS, training=False), LOGITS)
    assert float(tower.offset) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_ids": 0}, "`num_ids` must be at least 1, got 0"),
        ({"num_ids": 4, "units": (8, 0)}, "`units` must be at least 1, got 0"),
        ({"num_ids": 4, "constant": 4}, "`constant` must be an id under 4, got 4"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SideTower(**arguments)
