import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import HistoryEncoder

RANDOM = np.random.default_rng(0)
KEYS = RANDOM.normal(size=(3, 5, 4)).astype(np.float32)
IDS = np.array([[7, 2, 9, 0, 0], [1, 1, 3, 8, 4], [0, 0, 0, 0, 0]])
GAPS = np.abs(RANDOM.normal(size=(3, 5))).astype(np.float32) * 1e4


def test_padding_changes_nothing_and_comes_out_as_zeros():
    encoder = HistoryEncoder(num_layers=2, max_length=5)
    long = encoder(tf.constant(KEYS), tf.constant(IDS))
    other = np.where(IDS[..., None] == 0, 5.0, KEYS).astype(np.float32)
    np.testing.assert_allclose(encoder(other, tf.constant(IDS)), long, atol=1e-5)
    short = encoder(KEYS[:1, :3], tf.constant(IDS[:1, :3]))
    np.testing.assert_allclose(long[:1, :3], short, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(long)[IDS == 0], 0.0)


def test_order_and_gaps_are_seen():
    encoder = HistoryEncoder(max_length=5, time_gaps=True)
    ids = tf.constant(IDS[1:2])
    plain = encoder(KEYS[1:2], ids, GAPS[1:2])
    turned = encoder(KEYS[1:2, ::-1].copy(), ids, GAPS[1:2, ::-1].copy())
    assert np.abs(np.asarray(turned)[:, ::-1] - plain).max() > 1e-3
    later = encoder(KEYS[1:2], ids, GAPS[1:2] * 100)
    assert np.abs(np.asarray(later) - plain).max() > 1e-3


def test_positions_count_from_the_newest_item():
    newest_first = HistoryEncoder(max_length=5)
    places = newest_first._places(tf.constant(IDS != 0))
    np.testing.assert_array_equal(places[0, :3], [0, 1, 2])
    oldest_first = HistoryEncoder(max_length=5, newest_first=False)
    places = oldest_first._places(tf.constant(IDS != 0))
    np.testing.assert_array_equal(places[0, :3], [2, 1, 0])
    np.testing.assert_array_equal(places[1], [4, 3, 2, 1, 0])
    padded_first = oldest_first._places(tf.constant(IDS[:1, ::-1] != 0))
    np.testing.assert_array_equal(padded_first[0, 2:], [2, 1, 0])
    clipped = HistoryEncoder(max_length=2)._places(tf.constant(IDS != 0))
    assert np.max(clipped) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be at least 1, got 0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HistoryEncoder(**arguments)


def test_the_width_must_be_a_multiple_of_the_heads():
    with pytest.raises(ValueError, match="a multiple of `num_heads`, 3"):
        HistoryEncoder(num_heads=3)(tf.constant(KEYS), tf.constant(IDS))


@pytest.mark.parametrize("time_gaps", [False, True])
def test_gaps_are_given_when_they_are_wanted_and_only_then(time_gaps):
    gaps = [] if time_gaps else [tf.constant(GAPS)]
    with pytest.raises(ValueError, match="`gaps` must be given with `time_gaps`"):
        HistoryEncoder(time_gaps=time_gaps)(tf.constant(KEYS), tf.constant(IDS), *gaps)
