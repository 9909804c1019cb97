"""Checks of the values of labels and weights, in eager code and in graphs."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_enabled = True


def set_input_checks(enabled: bool) -> None:
    """Turns the checks of labels and sample weights on or off for the process.

    They are on by default: losses, metrics and models refuse labels outside of
    [0, 1] where LogLoss needs them, negative labels elsewhere, and negative
    weights. A graph keeps the checks it was traced with. XLA leaves them out.

    Args:
        enabled: Whether values are looked at.

    Example:
        >>> hgr_tf.set_input_checks(False)
    """
    global _enabled
    _enabled = bool(enabled)


def check_labels(labels: tf.Tensor, highest: float | None = None) -> tf.Tensor:
    """Returns labels that were found to be at least 0, and at most `highest`.

    Args:
        labels: float; those of weight 0 must be masked before.
        highest: The largest label, or None for graded labels of any size.

    Raises:
        ValueError: In eager code, a label is out of range or NaN.
        tf.errors.InvalidArgumentError: In a graph, likewise.
    """
    if highest is None:
        return _check(labels, "`labels` must be at least 0", labels >= 0)
    expected = (
        f"`labels` must be in [0, {highest:g}]; `label.positive_at_least` of a spec "
        "makes graded values binary"
    )
    return _check(labels, expected, (labels >= 0) & (labels <= highest))


def check_weights(weights: tf.Tensor) -> tf.Tensor:
    """Returns weights that were found to be finite and at least 0.

    Raises:
        ValueError: In eager code, a weight is negative, infinite or NaN.
        tf.errors.InvalidArgumentError: In a graph, likewise.
    """
    is_valid = (weights >= 0) & tf.math.is_finite(weights)
    return _check(weights, "`sample_weight` must be finite and at least 0", is_valid)


def _check(values: tf.Tensor, expected: str, is_valid: tf.Tensor) -> tf.Tensor:
    if not _enabled:
        return values
    if tf.executing_eagerly():
        valid = np.asarray(is_valid)  # no `:=`, which AutoGraph warns of
        if not valid.all():
            found = np.asarray(values)[~valid].flat[0]
            raise ValueError(f"{expected}, got {found:g}")
        return values
    lowest, highest = tf.reduce_min(values), tf.reduce_max(values)
    found = [f"{expected}, got values from", lowest, "to", highest]
    check = tf.debugging.Assert(tf.reduce_all(is_valid), found)
    with tf.control_dependencies([check]):
        return tf.identity(values)
