import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.optimizers import RowwiseAdagrad
from tests.optimizers.test_lazy_adam import RATE, step, table_model, table_of


def reference(table, steps, initial=0.0, eps=1e-7):
    table = np.array(table, np.float64)
    sums = np.full(len(table), initial)
    for ids, pull in steps:
        gradient = np.zeros_like(table)
        np.add.at(gradient, ids, pull)
        rows = np.unique(ids)
        sums[rows] += np.square(gradient[rows]).mean(1)
        root = np.sqrt(sums[rows])[:, None]
        table[rows] -= RATE * gradient[rows] / (root + eps)
    return table


def test_touched_rows_follow_the_formula_and_others_stay():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(9, 3))
    layer, optimizer = table_of(start), RowwiseAdagrad(RATE)
    steps = [(rng.integers(0, 7, 12), rng.normal(size=(12, 3))) for _ in range(5)]
    for ids, pull in steps:
        step(optimizer, layer, ids, pull)
    (trained,) = layer.get_weights()
    np.testing.assert_allclose(trained, reference(start, steps), atol=1e-5)
    np.testing.assert_array_equal(trained[7:], start[7:].astype(np.float32))


def test_other_weights_train_as_adagrad_trains_them():
    x, y = np.ones((8, 3), np.float32), np.arange(8, dtype=np.float32)[:, None]
    trained = []
    adagrad = tf.keras.optimizers.Adagrad(RATE, initial_accumulator_value=0.0)
    for optimizer in (RowwiseAdagrad(RATE), adagrad):
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, "tanh")])
        model.build((None, 3))
        model.set_weights([np.full((3, 2), 0.1, np.float32), np.zeros(2, np.float32)])
        model.compile(optimizer, "mse")
        model.fit(x, y, epochs=3, verbose=0)
        trained.append(model.get_weights())
    for ours, kerass in zip(*trained, strict=True):
        np.testing.assert_allclose(ours, kerass, atol=1e-6)


def test_a_table_has_one_number_of_state_per_row():
    layer, optimizer = table_of(np.ones((7, 5))), RowwiseAdagrad(RATE)
    optimizer.build(layer.trainable_variables)
    shapes = [tuple(variable.shape) for variable in optimizer._accumulators]
    assert shapes == [(7,)]


def test_a_negative_start_is_refused():
    with pytest.raises(ValueError, match="`initial_accumulator_value` must be at leas"):
        RowwiseAdagrad(initial_accumulator_value=-1.0)


def test_config_makes_an_equal_optimizer_and_state_is_saved(tmp_path):
    model = table_model()
    model.compile(RowwiseAdagrad(0.05, initial_accumulator_value=0.2), "mse")
    x, y = np.array([[1], [4], [1], [5]]), np.ones((4, 1), np.float32)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, again):
        one.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for ours, loaded in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, loaded)
