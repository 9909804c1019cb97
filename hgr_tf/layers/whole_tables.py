"""Checks of whole embedding tables and the weights of their rows."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def finite_table(embeddings: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Embeddings to fit to, float32 [rows, dim]."""
    points = tf.cast(embeddings, tf.float32)
    if points.shape.rank != 2 or not points.shape[0]:
        raise ValueError(
            "`embeddings` must be [rows, dim] with at least one row, "
            f"got {points.shape}"
        )
    if not np.isfinite(points.numpy()).all():
        raise ValueError("`embeddings` must be finite, got NaN or infinity")
    return points


def weights_of_rows(
    sample_weight: tf.Tensor | np.ndarray | None, rows: int
) -> tf.Tensor:
    """Weights of the rows of a table, float32 [rows]."""
    if sample_weight is None:
        return tf.ones(rows)
    weights = np.asarray(sample_weight, np.float32)
    in_range = np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
    if weights.shape != (rows,) or not in_range:
        raise ValueError(
            f"`sample_weight` must be [{rows}] finite values of at least 0, not all 0, "
            f"got {weights} of shape {weights.shape}"
        )
    return tf.constant(weights)
