from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.layers import RowEmbedding
from hgr_tf.training.config import TrainingConfig
from hgr_tf.training.optimizer import (
    averaged_weights,
    build_optimizer,
    check_tables,
)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.1, 0.1, 0.1]),
        ("linear", [0.1, 0.05, 0.0]),
        ("cosine", [0.1, 0.05, 0.0]),
    ],
)
def test_learning_rate_at_start_middle_and_end(schedule, rates):
    config = TrainingConfig(schedule=schedule, learning_rate=0.1, optimizer="sgd")
    optimizer = build_optimizer(config, steps=10)
    weight = tf.Variable(0.0)
    optimizer.build([weight])
    seen = []
    for _ in range(11):
        before = float(weight)
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
        seen.append(before - float(weight))
    np.testing.assert_allclose([seen[0], seen[5], seen[10]], rates, atol=1e-6)


@pytest.mark.parametrize(
    "name", get_args(TrainingConfig.model_fields["optimizer"].annotation)
)
def test_every_optimizer_descends(name):
    config = TrainingConfig(optimizer=name, learning_rate=0.1, schedule="constant")
    weight = tf.Variable(1.0)
    optimizer = build_optimizer(config, steps=1)
    optimizer.build([weight])
    optimizer.apply_gradients([(tf.constant(1.0), weight)])
    assert float(weight) < 1.0


def test_averages_are_swapped_in_and_back():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, use_bias=False)])
    model.build((None, 1))
    settings = dict(optimizer="sgd", learning_rate=1.0, schedule="constant")
    model.compile(
        build_optimizer(TrainingConfig(weight_ema=0.75, **settings), 4), "mse"
    )
    (kernel,) = model.trainable_variables
    kernel.assign([[8.0]])
    model.optimizer.build([kernel])
    for _ in range(2):  # 8 -> 4 -> 0
        model.optimizer.apply_gradients([(tf.constant([[4.0]]), kernel)])
    with pytest.raises(RuntimeError, match="inside"), averaged_weights(model):
        # From the first weights on (Keras 2) or from the first step's (Keras 3).
        assert float(kernel[0, 0]) in (0.75 * (0.75 * 8 + 0.25 * 4), 0.75 * 4)
        raise RuntimeError("inside")
    np.testing.assert_array_equal(kernel, [[0.0]])


def test_without_averages_nothing_is_swapped():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.build((None, 1))
    model.compile(build_optimizer(TrainingConfig(), 4), "mse")
    before = model.get_weights()
    with averaged_weights(model):
        for one, two in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def large_model(layer=RowEmbedding):
    class Stub(layer):
        """Says it is large without holding a table."""

    ids = tf.keras.Input((), dtype="int64")
    embedding = Stub(2, 1, name="users")
    model = tf.keras.Model(ids, embedding(ids))
    embedding.input_dim = 3_000_000
    return model


@pytest.mark.parametrize("name", ["lazy_adam", "rowwise_adagrad", "sgd"])
def test_optimizers_of_rows_take_large_tables(name):
    check_tables(large_model(), TrainingConfig(optimizer=name))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_dense_optimizers_refuse_large_tables_and_name_the_way_out(name):
    with pytest.raises(ValueError, match=r"3,000,000 rows of 'users'.*lazy_adam"):
        check_tables(large_model(), TrainingConfig(optimizer=name))


def test_averaging_of_weights_refuses_large_tables():
    config = TrainingConfig(optimizer="lazy_adam", weight_ema=0.99)
    with pytest.raises(ValueError, match="weight_ema` averages all"):
        check_tables(large_model(), config)


def test_small_tables_take_any_optimizer():
    ids = tf.keras.Input((), dtype="int64")
    model = tf.keras.Model(ids, tf.keras.layers.Embedding(10, 2)(ids))
    check_tables(model, TrainingConfig(optimizer="adamw", weight_ema=0.9))


@pytest.mark.skipif(not KERAS_3, reason="Keras 2's Embedding has a gradient of rows")
def test_keras_3_needs_row_embeddings_for_large_tables():
    with pytest.raises(ValueError, match="RowEmbedding"):
        check_tables(
            large_model(tf.keras.layers.Embedding), TrainingConfig(optimizer="sgd")
        )
