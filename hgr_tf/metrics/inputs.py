"""The inputs of metrics: flat, of one size, checked, masked if weightless."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.flat_inputs import flat_float
from hgr_tf.input_checks import check_labels, check_weights


def flat_batch(
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    sample_weight: tf.Tensor | None = None,
    highest: float | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Labels, predictions and weights as float32 [batch] tensors.

    Rows of weight 0 get label and prediction 0, whatever they had: they are as if
    they were not there.

    Args:
        y_true: [batch] or [batch, 1], at least 0.
        y_pred: [batch] or [batch, 1].
        sample_weight: Scalar, [batch] or [batch, 1], at least 0; None weighs each
            row 1.
        highest: The largest label there may be; None for graded labels.

    Raises:
        ValueError or tf.errors.InvalidArgumentError: If the sizes differ or a value
            is out of range, the second when they are only known as the graph runs.
    """
    y_true, y_pred = flat_float(y_true), flat_float(y_pred)
    y_true = same_size("y_true", y_true, y_pred)
    if sample_weight is None:
        return check_labels(y_true, highest), y_pred, tf.ones_like(y_pred)
    weights = check_weights(flat_float(sample_weight))
    if weights.shape[0] != 1:
        weights = same_size("sample_weight", weights, y_pred)
    weights = tf.broadcast_to(weights, tf.shape(y_pred))
    y_true, y_pred = (tf.where(weights > 0, rows, 0.0) for rows in (y_true, y_pred))
    return check_labels(y_true, highest), y_pred, weights


def same_size(name: str, values: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """The flat `values`, checked to have one value for each prediction."""
    sizes = values.shape[0], y_pred.shape[0]
    if None in sizes:
        check = tf.debugging.assert_equal(
            tf.size(values),
            tf.size(y_pred),
            message=f"`{name}` must have one value for each prediction",
        )
        with tf.control_dependencies([check]):
            return tf.identity(values)
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"`{name}` must have one value for each of the {sizes[1]} predictions, "
            f"got {sizes[0]}."
        )
    return values


def first_codes(codes: tf.Tensor, level: int) -> tf.Tensor:
    """The codes of the first `level` levels, int32 [batch, level].

    Raises:
        ValueError: If `codes` are not [batch, levels] with so many levels.
    """
    codes = tf.cast(codes, tf.int32)
    if codes.shape.rank != 2 or codes.shape[1] < level:
        raise ValueError(
            f"`codes` must be [batch, levels] with at least {level} levels, "
            f"got shape {codes.shape}."
        )
    return codes[:, :level]


def flat_weights(sample_weight: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
    """Weights as a float64 [batch] tensor; ones when there are none."""
    if sample_weight is None:
        return tf.ones_like(like, tf.float64)
    return tf.cast(check_weights(flat_float(sample_weight)), tf.float64)


def ratio(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """Returns numerator / denominator; NaN, "undefined", where the denominator is 0."""
    numerator, denominator = map(tf.convert_to_tensor, (numerator, denominator))
    quotient = tf.math.divide_no_nan(numerator, denominator)
    return tf.where(tf.equal(denominator, 0), undefined(quotient), quotient)


def undefined(like: tf.Tensor) -> tf.Tensor:
    """NaN, of a tensor's dtype."""
    return tf.constant(float("nan"), like.dtype)


def check_positive(name: str, value: object) -> None:
    """Refuses a constructor argument that is not an int above 0."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be an int of at least 1, got {value!r}.")
