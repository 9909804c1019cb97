"""The vectorised FarmHash against TensorFlow's."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from hgr_tf.features.fingerprint import fingerprint64, text_fingerprints


def test_equals_tensorflow_at_every_length():
    rng = np.random.default_rng(0)
    texts = [rng.bytes(n) for n in [*range(0, 300), 1000, 4096, 65_537]]
    expected = [
        tf.strings.to_hash_bucket_fast(tf.constant([t]), 2**63 - 25).numpy()[0]
        for t in texts
    ]
    ours = fingerprint64(pa.array(texts, pa.binary())) % np.uint64(2**63 - 25)
    np.testing.assert_array_equal(ours.astype(np.int64), expected)


@pytest.mark.parametrize("buckets", [1, 7, 1000, 2**31])
def test_buckets_equal_tensorflow_on_repeated_and_unicode_texts(buckets):
    texts = ["", "a", "a", "视频", "user_12345678", "x" * 64, "x" * 65, "é" * 40] * 3
    expected = tf.strings.to_hash_bucket_fast(tf.constant(texts), buckets).numpy()
    ours = fingerprint64(pa.array(texts)) % np.uint64(buckets)
    np.testing.assert_array_equal(ours.astype(np.int64), expected)


def test_slices_hash_their_own_rows():
    texts = pa.array(["alpha", "beta", "gamma", "delta"])
    np.testing.assert_array_equal(
        fingerprint64(texts.slice(1, 2)), fingerprint64(texts)[1:3]
    )


def test_integers_hash_as_their_decimal_text():
    numbers = pa.array([0, -7, 2**63 - 1, -(2**63)], pa.int64())
    texts = pa.array([str(n) for n in numbers.to_pylist()])
    np.testing.assert_array_equal(text_fingerprints(numbers), fingerprint64(texts))


def test_no_texts_give_no_fingerprints():
    assert fingerprint64(pa.array([], pa.string())).shape == (0,)
