"""Isotonic: a rising line of straight pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator
from typing_extensions import Self

from hgr_tf.features.strict_model import Strict

LOWEST = 1e-6
"""Probabilities lie between this and 1 minus this, so that the LogLoss is finite."""


class Isotonic(Strict):
    """Isotonic regression of the labels on the logits.

    It interpolates between knots, and is constant before the first and after the last.
    Rows between two knots of one probability become ties.

    Attributes:
        at: Ascending logits of the knots.
        probabilities: Never falling probabilities at the knots.

    References:
        Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass
        probability estimates", KDD 2002.
    """

    method: Literal["isotonic"] = "isotonic"
    at: tuple[FiniteFloat, ...] = Field(min_length=1)
    probabilities: tuple[FiniteFloat, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_knots(self) -> Self:
        if len(self.at) != len(self.probabilities):
            raise ValueError(
                f"`at` and `probabilities` must be of one length, got {len(self.at)} "
                f"and {len(self.probabilities)}"
            )
        if np.any(np.diff(np.array(self.at, np.float32)) <= 0):
            raise ValueError("`at` must ascend, as float32 numbers")
        if np.any(np.diff(self.probabilities) < 0):
            raise ValueError("`probabilities` must never fall")
        first, last = self.probabilities[0], self.probabilities[-1]
        if first < LOWEST or last > 1 - LOWEST:
            raise ValueError(
                f"`probabilities` must lie between {LOWEST} and 1 - {LOWEST}, got "
                f"{first} to {last}"
            )
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the model's inputs that it looks at: none."""
        return ()

    def logits(self, logits: Any, inputs: Mapping[str, Any]) -> Any:
        """Returns calibrated logits [B] of logits [B], as TensorFlow ops."""
        import tensorflow as tf

        # p(x) = p_1 + sum_k (p_{k+1} - p_k) clip((x - x_k) / (x_{k+1} - x_k), 0, 1):
        # every term rises, and so does their rounded sum.
        at = np.asarray(self.at, logits.dtype.as_numpy_dtype)
        rises = np.diff(self.probabilities)[:, None].astype(at.dtype)
        p = tf.fill(tf.shape(logits), tf.cast(self.probabilities[0], logits.dtype))
        if len(at) > 1:
            parts = (logits[:, None] - at[:-1]) / np.diff(at)
            p += tf.reshape(tf.clip_by_value(parts, 0, 1) @ rises, [-1])
            p = tf.minimum(p, tf.cast(self.probabilities[-1], logits.dtype))
        return tf.math.log(p) - tf.math.log(1 - p)  # ONNX has no Log1p
