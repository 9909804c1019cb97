"""ProbabilityProduct: the product of probabilities that are given as logits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("hgr_tf")
class ProbabilityProduct(tf.keras.layers.Layer):
    """The logit of a product of probabilities, from the logits of its factors.

    For two factors, with p = sigmoid(a) and q = sigmoid(b):

        logit(p q) = -log(e^-a + e^-b + e^(-a-b)),

    as 1 / (p q) = (1 + e^-a) (1 + e^-b). More are multiplied one by one. The formula
    is exact where p q rounds to 0 or 1, and its gradients are weights of a softmax. In
    ESMM the factors are p(click) and p(purchase | click).

    It is computed in float32 unless a `dtype` says otherwise.

    Args:
        **kwargs: As of `tf.keras.layers.Layer`.

    Call arguments:
        inputs: A list of logits, float tensors of one shape.

    Returns:
        The logit of the product, of that shape.

    Example:
        >>> product = hgr_tf.layers.ProbabilityProduct()
        >>> logit = product([tf.constant(0.0), tf.constant(0.0)])
        >>> round(float(tf.sigmoid(logit)), 4)
        0.25

    Source: Ma et al., "Entire Space Multi-Task Model: An Effective Approach for
    Estimating Post-Click Conversion Rate", SIGIR 2018, arXiv:1804.07931, equation 1.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The logit of the product; see the class."""
        return functools.reduce(_product, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of each factor."""
        return tuple(input_shape[0])


def _product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_logsumexp(tf.stack([-a, -b, -a - b]), axis=0)
