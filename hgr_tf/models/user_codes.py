"""UserCodes: what a quantizer made of a batch of user embeddings."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class UserCodes(NamedTuple):
    """What the quantizer made of a batch of user embeddings.

    Attributes:
        quantized: float [batch, dim].
        codes: int32 [batch, levels].
        loss: float32 scalar, the quantizer's own.
        started: bool scalar. Until then the codes do not mean anything.
    """

    quantized: tf.Tensor
    codes: tf.Tensor
    loss: tf.Tensor
    started: tf.Tensor

    def gate(self, value: tf.Tensor | float) -> tf.Tensor:
        """`value`, but 0 until the codes have started."""
        return tf.cast(self.started, tf.float32) * value
