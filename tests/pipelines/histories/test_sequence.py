"""Rows are sorted as by a sort by the key's first row, moment and tie."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hgr_tf.pipelines.histories.sequence import by_other_key, sequence

FEW = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
MOMENTS = st.sampled_from([-(2**63), -1, 0, 5, 2**63 - 1])


@st.composite
def rows(draw):
    """Keys, moments and ties, many of them equal."""
    n = draw(st.integers(0, 40))
    of_few = (draw(arrays(np.uint64, n, elements=FEW)) for _ in range(2))
    keys, ties = of_few
    return keys, draw(arrays(np.int64, n, elements=MOMENTS)), ties


def by_first_row(keys):
    """Numbers of the keys, in the order of their first rows."""
    seen = list(dict.fromkeys(keys.tolist()))
    return np.array([seen.index(key) for key in keys.tolist()], np.int64)


@given(rows())
def test_rows_lie_by_key_then_moment_then_tie(given):
    keys, moments, ties = given
    found = sequence(keys, moments, ties, ties)
    expected = np.lexsort((ties, moments, by_first_row(keys)))
    np.testing.assert_array_equal(found.order, expected)


@given(rows())
def test_another_key_keeps_the_order_of_the_rows_within_it(given):
    keys, moments, ties = given
    whole = sequence(keys, moments, ties, ties)
    others = keys ^ ties  # many to a key
    found = by_other_key(whole, others, moments, ties)
    others = by_first_row(others[whole.order])
    expected = whole.order[np.argsort(others, kind="stable")]
    np.testing.assert_array_equal(found.order, expected)


def test_moments_as_far_apart_as_32_bits_and_further():
    keys, ties = np.zeros(3, np.uint64), np.zeros(3, np.uint64)
    for span in (2**32 - 1, 2**32, 2**63):
        moments = np.array([span - 2**62, 5 - 2**62, -(2**62)], np.int64)
        found = sequence(keys, moments, ties, ties)
        np.testing.assert_array_equal(found.order, [2, 1, 0])
