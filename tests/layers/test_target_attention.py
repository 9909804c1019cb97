import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import TargetAttention

RANDOM = np.random.default_rng(0)
TARGET = RANDOM.normal(size=(3, 4)).astype(np.float32)
KEYS = RANDOM.normal(size=(3, 5, 4)).astype(np.float32)
IDS = np.array([[7, 2, 9, 0, 0], [1, 1, 3, 8, 4], [0, 0, 0, 0, 0]])


def dense(layer, x):
    kernel, bias = layer.get_weights()
    return x @ kernel + bias


def reference(layer, target, keys, ids):
    pooled = np.zeros_like(target)
    for b in range(len(target)):
        here = keys[b][ids[b] != 0]
        if not len(here):
            continue
        if layer.hidden_units:
            parts = (np.tile(target[b], (len(here), 1)), here, target[b] * here)
            hidden = sum(map(dense, layer._parts, parts))
            for one in layer._hidden:
                hidden = dense(one, np.maximum(hidden, 0))
            scores = hidden[:, 0]
        else:
            scores = here @ target[b] / np.sqrt(here.shape[1])
        if layer.normalize:
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        pooled[b] = scores @ here
    return pooled


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 3)])
def test_pools_as_the_formula_says(hidden_units, normalize):
    layer = TargetAttention(hidden_units, normalize)
    pooled = layer(tf.constant(TARGET), tf.constant(KEYS), tf.constant(IDS))
    expected = reference(layer, TARGET, KEYS, IDS)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 3)])
@pytest.mark.parametrize("n", [1, 4])
def test_many_targets_of_a_history_pool_as_each_alone(hidden_units, normalize, n):
    layer = TargetAttention(hidden_units, normalize)
    layer(tf.constant(TARGET), tf.constant(KEYS), tf.constant(IDS))
    layer.set_weights([RANDOM.normal(size=w.shape) for w in layer.get_weights()])
    targets = RANDOM.normal(size=(3, n, 4)).astype(np.float32)
    histories = layer.of_histories(tf.constant(KEYS), tf.constant(IDS))
    pooled = layer.attend(histories, tf.constant(targets))
    for i in range(n):
        alone = layer(targets[:, i], tf.constant(KEYS), tf.constant(IDS))
        np.testing.assert_allclose(pooled[:, i], alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(pooled[2], np.zeros((n, 4)))


def test_padding_changes_nothing_and_no_history_is_zero():
    layer = TargetAttention()
    short = layer(TARGET[:1], KEYS[:1, :3], tf.constant(IDS[:1, :3]))
    long = layer(tf.constant(TARGET), tf.constant(KEYS), tf.constant(IDS))
    np.testing.assert_allclose(long[:1], short, atol=1e-6)
    np.testing.assert_array_equal(long[2], np.zeros(4))


def test_widths_must_agree():
    with pytest.raises(ValueError, match="must be of one width, got 3 and 4"):
        TargetAttention()(TARGET[:, :3], tf.constant(KEYS), tf.constant(IDS))


def test_units_must_be_positive():
    with pytest.raises(ValueError, match="`hidden_units` must be positive"):
        TargetAttention((4, 0))
