import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.losses import (
    HierarchicalGroupwiseLoss,
    ListwiseLoss,
    listwise_loss,
    listwise_names,
)
from hgr_tf.losses.listwise.softmax_ce import softmax_ce
from hgr_tf.losses.listwise_loss import _REGISTERED
from tests.losses import reference

LABELS = np.float32([1, 0, 0, 1, 0, 2])
LOGITS = np.float32([0.5, 0.2, -1.0, 0.1, 0.3, 0.0])
CODES = np.int32([[0], [0], [0], [1], [1], [1]])


@tf.keras.utils.register_keras_serializable("tests")
def cold_softmax_ce(lists, labels, logits, shares_of):
    return softmax_ce(lists, labels, logits / 2, shares_of)


@tf.keras.utils.register_keras_serializable("tests")
class LearnedTemperature(tf.keras.layers.Layer):
    """A layer as a listwise loss: it has a weight of its own."""

    def __init__(self, start=0.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.log_scale = self.add_weight(
            name="log_scale",
            shape=(),
            initializer=tf.keras.initializers.Constant(start),
        )
        self.built = True

    def call(self, lists, labels, logits, shares_of):
        scaled = logits * tf.exp(tf.convert_to_tensor(self.log_scale))
        return softmax_ce(lists, labels, scaled, shares_of)

    def get_config(self):
        return {**super().get_config(), "start": self.start}


@pytest.fixture
def name():
    """A free name; what a test registers under it is dropped."""
    yield "loss_of_a_test"
    _REGISTERED.pop("loss_of_a_test", None)


def test_every_registered_loss_has_a_reference_to_be_compared_with():
    assert listwise_names() == sorted(reference.LISTWISE)


def test_a_registered_function_is_taken_by_its_name(name):
    listwise_loss(name)(cold_softmax_ce)
    assert name in listwise_names()
    value = HierarchicalGroupwiseLoss(1, name)(LABELS, LOGITS, CODES)
    expected = HierarchicalGroupwiseLoss(1, "softmax_ce")(LABELS, LOGITS / 2, CODES)
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_a_name_cannot_be_taken_twice():
    with pytest.raises(ValueError, match="`name` must be free, got 'jrc'"):
        listwise_loss("jrc")(cold_softmax_ce)


def test_a_loss_says_itself_that_labels_are_clipped(name):
    listwise_loss(name, clipped_labels=True)(lambda **inputs: softmax_ce(**inputs))
    clipped = HierarchicalGroupwiseLoss(1, name)(LABELS, LOGITS, CODES)
    ones = np.minimum(LABELS, 1)
    expected = HierarchicalGroupwiseLoss(1, "softmax_ce")(ones, LOGITS, CODES)
    np.testing.assert_allclose(clipped, expected, rtol=1e-6)


def test_a_loss_says_itself_that_it_may_be_negative(name):
    listwise_loss(name, fixed_level_weights=True)(lambda **inputs: softmax_ce(**inputs))
    with pytest.raises(ValueError, match="`level_weights` must be fixed"):
        HierarchicalGroupwiseLoss(1, name, "uncertainty")


@pytest.mark.parametrize("make", [lambda: cold_softmax_ce, LearnedTemperature])
@pytest.mark.parametrize("several", [False, True])
def test_callables_work_and_survive_a_round_trip(make, several):
    loss = make()
    assert isinstance(loss, ListwiseLoss)
    codes = np.concatenate([CODES, CODES], axis=1)
    ours = HierarchicalGroupwiseLoss(2, [loss, "list_ce"] if several else loss)
    config = tf.keras.utils.serialize_keras_object(ours)
    again = tf.keras.utils.deserialize_keras_object(config)
    expected = ours(LABELS, LOGITS, codes)
    np.testing.assert_allclose(again(LABELS, LOGITS, codes), expected)
    trainable = len(ours.trainable_variables)
    assert trainable == isinstance(loss, tf.keras.layers.Layer)


def test_a_layer_trains_its_own_weights():
    layer = LearnedTemperature()
    ours = HierarchicalGroupwiseLoss(1, layer)
    with tf.GradientTape() as tape:
        value = ours(LABELS, LOGITS, CODES)
    (gradient,) = tape.gradient(value, ours.trainable_variables)
    assert gradient != 0


@pytest.mark.parametrize(
    ("listwise", "message"),
    [
        ("list_cee", "did you mean 'list_ce'"),
        (3, "must be one of .*'list_mle'.*got 3"),
        (tf.keras.losses.MeanSquaredError, "got <class"),
        (tf.keras.losses.MeanSquaredError(), "callable"),
    ],
)
def test_what_is_no_listwise_loss_is_refused_in_one_line(listwise, message):
    with pytest.raises((ValueError, ImportError), match=message) as caught:
        HierarchicalGroupwiseLoss(1, listwise)
    assert "\n" not in str(caught.value)
