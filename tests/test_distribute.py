"""Sums over replicas: each tensor once, tables as rows, whatever goes together."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3, takes_summed_gradients
from hgr_tf.distribute import from_first_replica, sum_gradients, sum_over_replicas
from hgr_tf.optimizers import LazyAdam
from hgr_tf.testing import two_replicas
from hgr_tf.testing.replicas import run_on_halves

RANDOM = np.random.default_rng(0)
ROWS = tf.constant(RANDOM.normal(size=(6, 3)), tf.float32)
IDS = tf.constant([3, 1, 3, 0, 3, 2])


def test_structures_of_several_types_are_summed():
    def sums(rows):
        total = tf.reduce_sum(rows, axis=0)
        return sum_over_replicas({"a": (total, total[0]), "rows": tf.shape(rows)[0]})

    found = run_on_halves(two_replicas(), sums, ROWS)
    for vector, scalar, rows in (found[::2], found[1::2]):
        np.testing.assert_allclose(vector, np.sum(ROWS, axis=0), rtol=1e-5)
        np.testing.assert_allclose(scalar, np.sum(ROWS, axis=0)[0], rtol=1e-5)
        assert rows.dtype == tf.int32 and int(rows) == 6


def test_the_first_replica_gives_a_structure_to_all():
    def first(rows):
        return from_first_replica((rows, rows[0]))

    for given in run_on_halves(two_replicas(), first, ROWS):
        np.testing.assert_allclose(
            given, ROWS[:3] if given.shape.rank == 2 else ROWS[0]
        )


def variables():
    """Two tables of a width, one of another, biases, a matrix and an unused vector."""
    shapes = [(4, 3), (4, 3), (5, 2), (4,), (3, 2), (7,)]
    return [tf.Variable(tf.zeros(shape)) for shape in shapes]


def gradients_of(ids, rows):
    """Gradients of them that name rows twice; the matrix's is dense."""
    some = ids[:2]  # tables need not be looked up equally often
    return [
        tf.IndexedSlices(rows, ids, tf.constant([4, 3])),
        tf.IndexedSlices(rows[:2] * 2, tf.cast(some, tf.int64), tf.constant([4, 3])),
        tf.IndexedSlices(rows[:, :2], ids + 1, tf.constant([5, 2])),
        tf.IndexedSlices(rows[:, 0], ids, tf.constant([4])),
        tf.matmul(rows, rows[:, :2], transpose_a=True),
        None,
    ]


def whole(gradients):
    return [g if g is None else tf.convert_to_tensor(g) for g in gradients]


def test_gradients_of_tables_and_others_are_summed():
    owners = variables()

    def summed(given):
        found = sum_gradients(gradients_of(*given), owners)
        rows = [isinstance(gradient, tf.IndexedSlices) for gradient in found]
        assert rows == [True] * 4 + [False, False] and found[5] is None
        return whole(found)[:5]

    parts = [whole(gradients_of(IDS[at], ROWS[at])) for at in (slice(3), slice(3, 6))]
    expected = [a + b for a, b in zip(*(p[:5] for p in parts), strict=True)]
    found = run_on_halves(two_replicas(), summed, (IDS, ROWS))
    for replica in (0, 1):
        for own, other in zip(found[replica::2], expected, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def test_ids_outside_of_a_table_change_no_other_table():
    tables = [tf.Variable(tf.zeros((4, 3))) for _ in range(2)]
    shape = tf.constant([4, 3])

    def summed(given):
        ids, rows = given
        outside = tf.IndexedSlices(rows, tf.constant([4, 4, -1]), shape)
        return whole(
            sum_gradients([outside, tf.IndexedSlices(rows, ids, shape)], tables)
        )

    found = run_on_halves(two_replicas(), summed, (IDS, ROWS))
    expected = tf.IndexedSlices(ROWS, IDS, shape)
    for replica in (0, 1):
        np.testing.assert_array_equal(found[replica], np.zeros((4, 3)))
        np.testing.assert_allclose(found[2 + replica], whole([expected])[0], rtol=1e-5)


def test_a_replica_without_rows_and_a_table_of_unknown_size_are_summed():
    known = tf.Variable(tf.zeros((4, 3)))
    unknown = tf.Variable(tf.zeros((4, 3)), shape=tf.TensorShape([None, 3]))

    def summed(given):
        ids, rows = given
        context = tf.distribute.get_replica_context()
        kept = tf.where(context.replica_id_in_sync_group == 0, 3, 0)
        own = tf.IndexedSlices(rows[:kept], ids[:kept], tf.constant([4, 3]))
        return whole(sum_gradients([own, own], [known, unknown]))

    found = run_on_halves(two_replicas(), summed, (IDS, ROWS))
    expected = whole([tf.IndexedSlices(ROWS[:3], IDS[:3], tf.constant([4, 3]))])[0]
    for own in found:
        np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_alone_gradients_are_what_they_were():
    given = gradients_of(IDS, ROWS)
    assert sum_gradients(given, variables()) == given


class OwnSum(tf.keras.optimizers.SGD):
    """Sums its gradients its own way."""

    def aggregate_gradients(self, grads_and_vars):
        return grads_and_vars


class OwnStep(tf.keras.optimizers.SGD):
    """Sees its replica's own gradients first."""

    def apply_gradients(self, grads_and_vars, name=None):
        return super().apply_gradients(grads_and_vars, name)


@pytest.mark.skipif(KERAS_3, reason="Keras 3's optimizers always sum themselves")
def test_optimizers_that_sum_their_own_way_are_left_to_it():
    optimizers = tf.keras.optimizers
    assert takes_summed_gradients(LazyAdam())
    assert takes_summed_gradients(optimizers.Adam())
    assert not takes_summed_gradients(OwnSum())
    assert not takes_summed_gradients(OwnStep())
    assert not takes_summed_gradients(optimizers.legacy.Adam())
    scaled = tf.keras.mixed_precision.LossScaleOptimizer(optimizers.Adam())
    assert not takes_summed_gradients(scaled)
