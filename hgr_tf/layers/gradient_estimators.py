"""Gradients through a quantizer: what the embedding sees of its codeword."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

GradientEstimator = Literal["straight_through", "rotation"]


def straight_through(inputs: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """Straight through, e + sg(q - e): the value of q, the gradient of the identity.

    Args:
        inputs: float [batch, dim], e.
        quantized: float [batch, dim], q; no gradient reaches it.

    Returns:
        float [batch, dim].

    Source: van den Oord et al., "Neural Discrete Representation Learning",
    NeurIPS 2017.
    """
    return inputs + tf.stop_gradient(quantized - inputs)


def rotation_trick(inputs: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """sg(||q|| / ||e|| R) e, with R the rotation that takes e to q.

    The value of q; the gradient turns and scales with the step from e to q:
    angles between gradient and vector at q are kept at e. Where e or q is
    zero, or they are opposite, no such rotation is defined and the
    straight-through gradient is used.

    Args:
        inputs: float [batch, dim], e.
        quantized: float [batch, dim], q; no gradient reaches it.

    Returns:
        float [batch, dim].

    Source: Fifty et al., "Restructuring Vector Quantization with the Rotation
    Trick", ICLR 2025 (arXiv:2410.06424), section 4.2: with unit vectors e', q'
    and r = (e' + q') / ||e' + q'||, R x = x - 2 r (r . x) + 2 q' (e' . x).
    """
    quantized = tf.stop_gradient(quantized)
    fixed = tf.stop_gradient(inputs)
    unit_e, norm_e = _unit(fixed)
    unit_q, norm_q = _unit(quantized)
    unit_r, norm_r = _unit(unit_e + unit_q)
    rotated = (
        inputs - 2 * unit_r * _dot(unit_r, inputs) + 2 * unit_q * _dot(unit_e, inputs)
    ) * tf.math.divide_no_nan(norm_q, norm_e)
    defined = (norm_e > 1e-6) & (norm_q > 1e-6) & (norm_r > 1e-3)
    # The rotated value equals q up to rounding; make it q exactly.
    exact = rotated + tf.stop_gradient(quantized - rotated)
    return tf.where(defined, exact, straight_through(inputs, quantized))


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, axis=-1, keepdims=True)


def _unit(vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    norm = tf.sqrt(_dot(vectors, vectors))
    return tf.math.divide_no_nan(vectors, norm), norm
