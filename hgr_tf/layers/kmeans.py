"""Weighted k-means in TensorFlow: k-means++ seeding, then Lloyd's iterations.

Every shape is static given its inputs', so it runs inside a jitted train step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from hgr_tf.layers.nearest_codeword import Distance, nearest_codeword


def kmeans(
    points: tf.Tensor,
    weights: tf.Tensor,
    num_clusters: int,
    seed: Sequence[int],
    distance: Distance = "squared_l2",
    iterations: int = 10,
) -> tf.Tensor:
    """Centers of weighted k-means.

    Seeds by greedy k-means++ (each next center is the best of a few points
    drawn with probability proportional to weight times squared distance to the
    nearest center so far; of a large table, from a random sample), then
    `iterations` times: assign every point to its nearest center, move every
    center to the weighted mean of its points. A center without points stays.

    Args:
        points: float32 [num_points, dim].
        weights: float32 [num_points]; points of weight 0 have no influence.
        num_clusters: Python int.
        seed: int [2], for `tf.random.stateless_*`.
        distance: As in `nearest_codeword`.
        iterations: Python int.

    Returns:
        float32 [num_clusters, dim].

    Source: Arthur and Vassilvitskii, "k-means++: The Advantages of Careful
    Seeding", SODA 2007.
    """
    centers = _plus_plus(
        *_sample(points, weights, num_clusters, seed), num_clusters, seed
    )

    def step(i: tf.Tensor, centers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        codes = nearest_codeword(points, centers, distance)
        sums = tf.math.unsorted_segment_sum(
            points * weights[:, None], codes, num_clusters
        )
        counts = tf.math.unsorted_segment_sum(weights, codes, num_clusters)[:, None]
        means = tf.math.divide_no_nan(sums, counts)
        return i + 1, tf.where(counts > 0, means, centers)

    _, centers = tf.while_loop(lambda i, _: i < iterations, step, (0, centers))
    return centers


def _sample(
    points: tf.Tensor, weights: tf.Tensor, num_clusters: int, seed: Sequence[int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Random points and their weights, if there are more than seeding needs."""
    size = max(8192, 32 * num_clusters)
    num_points = points.shape[0]
    if num_points is None or num_points <= size:
        return points, weights
    rows = tf.random.stateless_uniform([size], seed, 0, num_points, tf.int32)
    return tf.gather(points, rows), tf.gather(weights, rows)


def _plus_plus(
    points: tf.Tensor, weights: tf.Tensor, num_clusters: int, seed: Sequence[int]
) -> tf.Tensor:
    dim = points.shape[1]
    trials = 2 + int(math.log(num_clusters))
    uniforms = tf.random.stateless_uniform([num_clusters, trials], seed)
    first = tf.gather(points, _draw(weights, uniforms[0, :1]))
    centers = tf.concat([first, tf.zeros([num_clusters - 1, dim])], axis=0)

    def step(
        i: tf.Tensor, centers: tf.Tensor, distances: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        masses = weights * distances
        # With a center on every point there is: any of them again.
        masses = tf.where(tf.reduce_sum(masses) > 0, masses, weights)
        drawn = tf.gather(points, _draw(masses, uniforms[i]))
        reached = tf.minimum(distances, _squared_distances(drawn, points))
        best = tf.argmin(tf.linalg.matvec(reached, weights))
        centers = tf.tensor_scatter_nd_update(centers, [[i]], drawn[best][None])
        return i + 1, centers, reached[best]

    start = (1, centers, _squared_distances(first, points)[0])
    return tf.while_loop(lambda i, *_: i < num_clusters, step, start)[1]


def _draw(masses: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Indices drawn with probability proportional to their masses."""
    cumulated = tf.cumsum(masses)
    below = cumulated <= uniforms[:, None] * cumulated[-1]
    index = tf.reduce_sum(tf.cast(below, tf.int32), axis=1)
    return tf.minimum(index, tf.shape(masses)[0] - 1)


def _squared_distances(centers: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """float32 [centers, points], without the rounding of the expanded square."""
    return tf.stack(
        [
            tf.reduce_sum(tf.math.squared_difference(points, center), axis=1)
            for center in tf.unstack(centers)
        ]
    )
