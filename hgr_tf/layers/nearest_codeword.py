"""Nearest codewords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

Distance = Literal["squared_l2", "cosine"]
DISTANCES = ("squared_l2", "cosine")

# Up to this many codewords, comparing one after the other is faster.
_FEW = 16


def nearest_codeword(
    vectors: tf.Tensor, codebook: tf.Tensor, distance: Distance = "squared_l2"
) -> tf.Tensor:
    """Index of the codeword nearest to each vector.

    squared_l2: argmin_k ||r - C_k||^2 = argmin_k ||D_k||^2 / 2 + M . D_k - r . D_k
    cosine:     argmax_k r . C_k / ||C_k||

    with D_k = C_k - M and M the codebook's mean, so that little is rounded off
    where all have an offset in common. Ties go to the lower index.

    Args:
        vectors: float32 [batch, dim].
        codebook: float32 [codebook_size, dim].
        distance: "squared_l2" or "cosine".

    Returns:
        int32 [batch].
    """
    if distance == "cosine":
        squares = tf.reduce_sum(tf.square(codebook), axis=1, keepdims=True)
        codebook = codebook * tf.math.rsqrt(tf.maximum(squares, 1e-30))
    mean = tf.reduce_mean(codebook, axis=0)
    codebook = codebook - mean
    if distance == "cosine":
        bias = tf.zeros_like(codebook[:, 0])
    else:
        bias = -tf.reduce_sum((0.5 * codebook + mean) * codebook, axis=1)
    if codebook.shape[0] is not None and codebook.shape[0] <= _FEW:
        scores = tf.matmul(codebook, vectors, transpose_b=True) + bias[:, None]
        return _argmax_of_few(tf.unstack(scores))
    # TensorFlow fuses a bias into the product.
    scores = tf.nn.bias_add(tf.matmul(vectors, codebook, transpose_b=True), bias)
    return tf.argmax(scores, axis=1, output_type=tf.int32)


def _argmax_of_few(rows: Sequence[tf.Tensor]) -> tf.Tensor:
    """Index of the row that is highest in each column, int32 [columns].

    `tf.argmax` takes as long for 8 codewords as for 32.
    """
    highest, index = rows[0], tf.zeros_like(rows[0], tf.int32)
    for number, row in enumerate(rows[1:], start=1):
        index = tf.where(row > highest, number, index)
        highest = tf.maximum(row, highest)
    return index


@tf.function(reduce_retracing=True)
def residual_codes(
    vectors: tf.Tensor, codebooks: Sequence[tf.Tensor], distance: Distance
) -> tf.Tensor:
    """Codes of a table, level by level, each of what the last level left.

    Args:
        vectors: float32 [rows, dim].
        codebooks: A list of L float32 [codebook_size, dim].
        distance: As in `nearest_codeword`.

    Returns:
        int32 [rows, L].
    """
    codes = [nearest_codeword(vectors, codebooks[0], distance)]
    for level in range(1, len(codebooks)):
        vectors = vectors - tf.gather(codebooks[level - 1], codes[-1])
        codes.append(nearest_codeword(vectors, codebooks[level], distance))
    return tf.stack(codes, axis=1)
