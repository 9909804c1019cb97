"""Nearest codewords."""

import tensorflow as tf

DISTANCES = ("squared_l2", "cosine")


def nearest_codeword(vectors, codebook, distance="squared_l2"):
    """Index of the codeword nearest to each vector.

    squared_l2: argmin_k ||r - C_k||^2 = argmin_k ||C_k||^2 / 2 - r . C_k
    cosine:     argmax_k r . C_k / ||C_k||

    Ties go to the lower index.

    Args:
        vectors: float32 [batch, dim].
        codebook: float32 [codebook_size, dim].
        distance: "squared_l2" or "cosine".

    Returns:
        int32 [batch].
    """
    squares = tf.reduce_sum(tf.square(codebook), axis=1)
    if distance == "cosine":
        codebook = codebook * tf.math.rsqrt(tf.maximum(squares, 1e-30))[:, None]
        scores = tf.matmul(vectors, codebook, transpose_b=True)
    else:
        # TensorFlow fuses a bias into the product, but not a subtraction.
        products = tf.matmul(vectors, codebook, transpose_b=True)
        scores = tf.nn.bias_add(products, -0.5 * squares)
    return tf.argmax(scores, axis=1, output_type=tf.int32)


@tf.function(reduce_retracing=True)
def residual_codes(vectors, codebooks, distance):
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
