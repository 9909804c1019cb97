import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
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


@given(
    distinct=st.integers(1, 4),
    clusters=st.integers(1, 8),
    padding=st.integers(0, 5),
    distance=st.sampled_from(["squared_l2", "cosine"]),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=30)
def test_centers_lie_among_the_weighted_points(
    distinct, clusters, padding, distance, seed
):
    """Also with fewer points than clusters, and places of weight 0 among them."""
    points = np.concatenate([np.zeros((padding, 5)), POINTS[:distinct]] * 2)
    weights = np.float32([0] * padding + [1] * distinct) / 4
    centers = kmeans(
        tf.constant(points, tf.float32),
        tf.constant(np.tile(weights, 2)),
        clusters,
        [seed, 0],
        distance,
    ).numpy()
    low, high = POINTS[:distinct].min(0), POINTS[:distinct].max(0)
    assert (centers >= low - 1e-4).all() and (centers <= high + 1e-4).all()
