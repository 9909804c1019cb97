import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hgr_tf.groups import group_statistics, id_groups, prefix_groups, whole_batch
from tests.losses.reference import prefix_keys

CODE = st.sampled_from([0, 1, 2, 2**31 - 1])
USER = st.sampled_from([-(2**63), -1, 0, 2**63 - 1])


def partition(ids):
    """The groups as sets of rows."""
    groups = {}
    for row, key in enumerate(ids):
        groups.setdefault(key, set()).add(row)
    return sorted(map(sorted, groups.values()))


@given(
    codes=arrays("int64", (20, 4), elements=CODE),
    users=arrays("int64", 20, elements=USER),
    jit_compile=st.booleans(),
)
@settings(max_examples=30)
def test_groups_are_those_of_equal_prefixes(codes, users, jit_compile):
    levels = _level_ids(jit_compile)(tf.constant(codes), tf.constant(users))
    for ids, keys in zip(levels, prefix_keys(codes, users), strict=True):
        assert partition(ids.numpy()) == partition(keys)


_COMPILED = {}


def _level_ids(jit_compile):
    if jit_compile not in _COMPILED:
        _COMPILED[jit_compile] = tf.function(
            lambda codes, users: prefix_groups(codes, users).level_ids(),
            jit_compile=jit_compile,
        )
    return _COMPILED[jit_compile]


def test_parents_hold_their_children():
    groups = prefix_groups(tf.constant([[3, 1], [0, 0], [3, 1], [3, 0]]))
    first, second = groups.level_ids()
    np.testing.assert_array_equal(tf.gather(groups.parents[0], second), first)
    assert [int(n) for n in groups.num_groups] == [2, 3]


def test_whole_batch_and_ids():
    assert partition(whole_batch(tf.zeros(3)).ids.numpy()) == [[0, 1, 2]]
    ids = id_groups(tf.constant([7, -7, 7], tf.int64)).ids
    assert partition(ids.numpy()) == [[0, 2], [1]]


@pytest.mark.parametrize("codes", [tf.zeros([3], tf.int32), tf.zeros([3, 0], tf.int32)])
def test_codes_of_another_shape_are_refused(codes):
    with pytest.raises(ValueError, match="`codes` must be \\[batch, levels\\]"):
        prefix_groups(codes)


@pytest.mark.parametrize("user_ids", [tf.constant([0.3, 0.6]), tf.constant(["a", "b"])])
def test_what_is_not_integers_is_refused(user_ids):
    message = f"`user_ids` must be integers, got {user_ids.dtype.name}"
    with pytest.raises(ValueError, match=message):
        prefix_groups(tf.zeros([2, 1], tf.int32), user_ids)
    with pytest.raises(ValueError, match=message):
        id_groups(user_ids)
    with pytest.raises(ValueError, match="`codes` must be integers, got float32"):
        prefix_groups(tf.zeros([2, 1]))


@given(
    codes=arrays("int32", (25, 2), elements=st.integers(0, 4)),
    labels=arrays("float32", 25, elements=st.sampled_from([0, 1])),
    weights=arrays("float32", 25, elements=st.sampled_from([0, 1, 2])),
)
@settings(max_examples=25)
def test_statistics_equal_numpy(codes, labels, weights):
    result = group_statistics(prefix_groups(codes), labels, weights, (0, 0.5, 1))
    for level, keys in enumerate(prefix_keys(codes)):
        lists = [[row for row in rows if weights[row] > 0] for rows in partition(keys)]
        sizes = sorted(len(rows) for rows in lists if rows)
        listed = sum(
            weights[rows].sum() for rows in lists if set(labels[rows]) == {0, 1}
        )
        assert result.num_groups[level] == len(sizes)
        np.testing.assert_allclose(
            result.occupancy[level], listed / max(weights.sum(), 1), rtol=1e-6
        )
        if sizes:
            assert result.length_quantiles[level, 0] == sizes[0]
            assert result.length_quantiles[level, 2] == sizes[-1]


def test_statistics_of_an_empty_batch_are_zero():
    empty = prefix_groups(tf.zeros([0, 2], tf.int32))
    for values in group_statistics(empty, tf.zeros([0])):
        np.testing.assert_array_equal(values, 0)
