"""What codebooks start from: random vectors, given ones, or k-means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hgr_tf.layers.kmeans import kmeans
from hgr_tf.layers.nearest_codeword import Distance, nearest_codeword


def random_codewords(sizes: Sequence[int], dim: int, seed: int) -> np.ndarray:
    """Normal vectors of mean squared norm 1, float32 [sum(sizes), dim]."""
    random = np.random.default_rng(seed)
    scale = 1 / np.sqrt(dim)
    return random.normal(scale=scale, size=(sum(sizes), dim)).astype(np.float32)


def stack_codebooks(
    codebooks: Sequence[np.ndarray], sizes: Sequence[int], dim: int | None
) -> np.ndarray:
    """Codebooks of all levels in one array, float32 [sum(sizes), dim].

    Raises:
        ValueError: A shape is not (size, dim), or a value is not finite.
    """
    books = [np.asarray(book, np.float32) for book in codebooks]
    expected = [(size, dim) for size in sizes]
    if [book.shape for book in books] != expected:
        raise ValueError(
            f"codebooks must have shapes {expected}, "
            f"got {[book.shape for book in books]}"
        )
    if not all(np.isfinite(book).all() for book in books):
        raise ValueError("codebooks must be finite, got NaN or infinity")
    return np.concatenate(books)


def residual_kmeans(
    points: tf.Tensor,
    weights: tf.Tensor,
    sizes: Sequence[int],
    distance: Distance,
    seed: int,
    iterations: int = 10,
) -> tf.Tensor:
    """k-means on the points, then on what each level leaves of them.

    Args:
        points: float32 [num_points, dim].
        weights: float32 [num_points].
        sizes: Codewords of each level.
        distance: As in `nearest_codeword`.
        seed: Python int.
        iterations: Lloyd's iterations per level.

    Returns:
        float32 [sum(sizes), dim].
    """
    books = []
    for level, size in enumerate(sizes):
        book = kmeans(points, weights, size, [seed, level], distance, iterations)
        codes = nearest_codeword(points, book, distance)
        points = points - tf.gather(book, codes)
        books.append(book)
    return tf.concat(books, axis=0)
