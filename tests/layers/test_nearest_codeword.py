import numpy as np
import pytest

from hgr_tf.layers.nearest_codeword import nearest_codeword


@pytest.mark.parametrize("codebook_size", [8, 40])
@pytest.mark.parametrize("offset", [0, 1, 100, 1000])
def test_a_common_offset_does_not_round_the_distances_away(codebook_size, offset):
    random = np.random.default_rng(0)
    book = np.float32(offset + 0.1 * random.normal(size=(codebook_size, 16)))
    vectors = np.float32(offset + 0.1 * random.normal(size=(2000, 16)))
    differences = np.float64(vectors)[:, None] - book
    expected = np.square(differences).sum(axis=2).argmin(axis=1)
    found = nearest_codeword(vectors, book).numpy()
    assert np.mean(found == expected) > 0.99
    if offset < 100:
        np.testing.assert_array_equal(found, expected)


def test_ties_go_to_the_lower_index():
    book = np.float32([[1, 0], [0, 1], [1, 0], [0, 1]])
    for distance in ("squared_l2", "cosine"):
        found = nearest_codeword(np.float32([[3, 0], [0, 3]]), book, distance)
        np.testing.assert_array_equal(found, [0, 1])
