import numpy as np
import pytest
import tensorflow as tf
from sklearn.cluster import KMeans

from hgr_tf.layers.kmeans import kmeans

RANDOM = np.random.default_rng(2)
CENTERS = 8 * RANDOM.normal(size=(6, 5))
POINTS = np.float32(CENTERS[RANDOM.integers(0, 6, 600)] + RANDOM.normal(size=(600, 5)))


def inertia(points, centers):
    return np.square(points[:, None] - centers).sum(2).min(1).sum()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_is_as_good_as_scikit_learn(jit_compile):
    run = tf.function(
        lambda x: kmeans(x, tf.ones(600), 6, [0, 0], iterations=20),
        jit_compile=jit_compile,
    )
    centers = run(tf.constant(POINTS)).numpy()
    best = KMeans(6, n_init=10, random_state=0).fit(POINTS).inertia_
    assert inertia(POINTS, centers) < 1.05 * best


def test_lloyd_equals_numpy_from_the_same_seeding():
    start = kmeans(POINTS, tf.ones(600), 6, [3, 1], iterations=0).numpy()
    centers = start.copy()
    for _ in range(5):
        codes = np.square(POINTS[:, None] - centers).sum(2).argmin(1)
        centers = np.stack([POINTS[codes == k].mean(0) for k in range(6)])
    found = kmeans(POINTS, tf.ones(600), 6, [3, 1], iterations=5)
    np.testing.assert_allclose(found, centers, rtol=1e-4, atol=1e-4)


def test_points_of_weight_zero_have_no_influence():
    weights = np.ones(600, np.float32)
    weights[300:] = 0
    moved = POINTS.copy()
    moved[300:] += 1e3
    run = [kmeans(p, tf.constant(weights), 6, [0, 0]) for p in (POINTS, moved)]
    np.testing.assert_allclose(run[0], run[1], rtol=1e-5)


def test_fewer_points_than_clusters():
    centers = kmeans(POINTS[:2], tf.ones(2), 6, [0, 0])
    assert np.isfinite(centers).all()
    assert {tuple(c) for c in centers.numpy()} <= {tuple(p) for p in POINTS[:2]}
