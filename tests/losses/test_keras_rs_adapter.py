import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.losses import HierarchicalGroupwiseLoss
from tests.losses.reference import prefix_keys

if not KERAS_3:
    pytest.skip("keras-rs's losses need Keras 3", allow_module_level=True)

import keras_rs

RANDOM = np.random.default_rng(3)
BATCH = 64
CODES = RANDOM.integers(0, 3, (BATCH, 2))
LABELS = RANDOM.integers(0, 3, BATCH).astype(np.float32)
LOGITS = RANDOM.normal(scale=2, size=BATCH).astype(np.float32)
LOSSES = [
    "ListMLELoss",
    "PairwiseHingeLoss",
    "PairwiseLogisticLoss",
    "PairwiseMeanSquaredError",
    "PairwiseSoftZeroOneLoss",
]


def lists_of(keys):
    """Rows of each list that has two classes."""
    keys = np.array([hash(k) for k in keys])
    rows = [np.flatnonzero(keys == key) for key in np.unique(keys)]
    return [r for r in rows if len(set(LABELS[r])) > 1]


def on_padded_lists(loss, logits, level):
    """The loss as keras-rs computes it, and the share of rows that is no padding."""
    lists = lists_of(prefix_keys(CODES)[level])
    longest = max(map(len, lists))
    rows = np.array([[*r, *[0] * (longest - len(r))] for r in lists])
    kept = np.array([[i < len(r) for i in range(longest)] for r in lists])
    labels = np.where(kept, LABELS[rows], -1.0)
    return loss(labels, tf.gather(logits, rows)), kept.mean()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size"])
def test_equals_the_loss_on_padded_lists_in_value_and_gradient(name, reduction):
    loss = getattr(keras_rs.losses, name)(reduction=reduction, temperature=0.7)
    ours = HierarchicalGroupwiseLoss(2, ["list_ce", loss], [0.0, 1.0])
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = ours(LABELS, logits, CODES)
    gradient = tape.gradient(value, logits)
    with tf.GradientTape() as tape:
        expected, kept = on_padded_lists(loss, logits, level=1)
        if reduction == "sum_over_batch_size" and name != "ListMLELoss":
            expected /= kept  # in ours, padding is not averaged over
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    expected = tf.convert_to_tensor(tape.gradient(expected, logits))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_weight_2_weighs_twice_and_weight_0_masks(name):
    loss = getattr(keras_rs.losses, name)(reduction="sum")
    ours = HierarchicalGroupwiseLoss(2, loss)
    once = ours(LABELS, LOGITS, CODES)
    twice = ours(LABELS, LOGITS, CODES, sample_weight=np.full(BATCH, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)
    weights = np.float32(np.arange(BATCH) % 3 > 0)
    kept = weights > 0
    masked = ours(LABELS, np.where(kept, LOGITS, np.nan), CODES, sample_weight=weights)
    expected = ours(LABELS[kept], LOGITS[kept], CODES[kept])
    np.testing.assert_allclose(masked, expected, rtol=1e-5)


def test_a_weighted_mean_divides_by_the_weights():
    loss = keras_rs.losses.PairwiseHingeLoss(reduction="mean_with_sample_weight")
    ours = HierarchicalGroupwiseLoss(2, loss)
    twice = ours(LABELS, LOGITS, CODES, sample_weight=np.full(BATCH, 2.0))
    np.testing.assert_allclose(twice, ours(LABELS, LOGITS, CODES), rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_zero_without_a_valid_list(name):
    loss = HierarchicalGroupwiseLoss(2, getattr(keras_rs.losses, name)())
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = loss(np.zeros(BATCH, np.float32), logits, CODES)
    assert value == 0
    np.testing.assert_array_equal(tape.gradient(value, logits), 0)


def test_own_list_mle_equals_keras_rs_where_labels_differ():
    labels = RANDOM.permutation(BATCH).astype(np.float32)
    theirs = keras_rs.losses.ListMLELoss(reduction="sum")
    whole = np.zeros([BATCH, 1], np.int32)
    own = HierarchicalGroupwiseLoss(1, "list_mle", 1.0)(labels, LOGITS, whole)
    expected = HierarchicalGroupwiseLoss(1, theirs, 1.0)(labels, LOGITS, whole)
    np.testing.assert_allclose(own * (BATCH - 1), expected, rtol=1e-5)


def test_instance_survives_config_round_trip():
    instance = keras_rs.losses.PairwiseLogisticLoss(temperature=2.0)
    loss = HierarchicalGroupwiseLoss(2, ["list_ce", instance])
    config = tf.keras.utils.serialize_keras_object(loss)
    again = tf.keras.utils.deserialize_keras_object(config)
    expected = loss(LABELS, LOGITS, CODES)
    np.testing.assert_allclose(again(LABELS, LOGITS, CODES), expected)


def test_what_cannot_work_is_refused():
    for reduction in (None, "none"):
        with pytest.raises(ValueError, match=r"`listwise` must be .* reduced"):
            HierarchicalGroupwiseLoss(
                2, keras_rs.losses.PairwiseHingeLoss(reduction=reduction)
            )
    loss = HierarchicalGroupwiseLoss(2, keras_rs.losses.PairwiseHingeLoss())
    step = tf.function(lambda: loss(LABELS, LOGITS, CODES), jit_compile=True)
    with pytest.raises(NotImplementedError, match="jit_compile=False"):
        step()
