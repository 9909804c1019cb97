"""GroupMetric: the base of metrics of each user's rows, which keep all rows."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hgr_tf.metrics.inputs import flat_batch, same_size
from hgr_tf.metrics.row_buffer import RowBuffer, local_variable

_NAN = float("nan")


class GroupMetric(tf.keras.metrics.Metric):
    """Base of the metrics that look at the rows of each user together.

    The figure is exact: the metric keeps every row (16 bytes, up to twice that while
    the buffer doubles; on each replica under a strategy) and sorts them at `result()`.
    The rows are not saved with a model.

    Keras asks for the result at every step, to show it. A model that knows these
    metrics asks for `running_result()` there, as `HierarchicalGroupwiseRanker` does,
    and leaves `result()` to the end of the epoch.

    XLA cannot compile a state that grows: under `jit_compile=True` updates raise
    `NotImplementedError`.

    A subclass says in `_targets` what it keeps of labels and weights, and in `_of_rows`
    what the figure of all rows is.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result; scores are compared as float32 whatever it is.
    """

    def __init__(self, name: str, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._rows = RowBuffer(
            {"groups": tf.int64, "scores": tf.float32, "targets": tf.float32}
        )
        self._running = _RunningValue()

    def update_state(
        self,
        y_true: tf.Tensor,
        y_pred: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
        groups: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            y_true: [batch] or [batch, 1] labels, at least 0; above 0 is a positive.
            y_pred: [batch] or [batch, 1] logits or probabilities.
            sample_weight: Scalar, [batch] or [batch, 1], at least 0.
            groups: [batch] or [batch, 1] integers, the users.

        Raises:
            ValueError: If `groups` is missing or not of integers, or the sizes
                differ, or a label or weight is negative (in a graph, a
                `tf.errors.InvalidArgumentError`).
            NotImplementedError: When traced under `jit_compile=True`.
        """
        y_true, y_pred, weights = flat_batch(y_true, y_pred, sample_weight)
        groups = same_size("groups", _flat_groups(groups), y_pred)
        targets = self._targets(y_true, weights)
        self._rows.append({"groups": groups, "scores": y_pred, "targets": targets})

    def result(self) -> tf.Tensor:
        """The figure of the rows so far, a scalar. Sorts them all."""
        return tf.cast(self._figure(), self.dtype)

    def running_result(self) -> tf.Tensor:
        """A result for progress bars, at a cost that stays in proportion.

        It is computed anew when the rows have grown by half since the last time,
        so a whole epoch of calls costs about three sorts of all its rows instead
        of one per step.

        Returns:
            A scalar: the figure of the rows so far, or of the first two thirds or
            more of them.
        """
        value = self._running.at(self._rows.count(), self._figure)
        return tf.cast(value, self.dtype)

    def reset_state(self) -> None:
        """Forgets all rows."""
        self._rows.clear()
        self._running.clear()

    def _targets(self, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """What is kept of labels and weights, float32 [batch]."""
        raise NotImplementedError

    def _of_rows(
        self, groups: tf.Tensor, scores: tf.Tensor, targets: tf.Tensor
    ) -> tf.Tensor:
        """The figure of all rows, each [rows]; NaN where it is undefined."""
        raise NotImplementedError

    def _figure(self) -> tf.Tensor:
        rows = self._rows.rows()
        has_nan = tf.reduce_any(tf.math.is_nan(rows["scores"]))
        return tf.where(has_nan, _NAN, tf.cast(self._of_rows(**rows), tf.float32))


class _RunningValue:
    """A value of a growing number of rows, renewed when they grew by half.

    Like the rows, its variables are not the metric's to save.
    """

    def __init__(self) -> None:
        self._rows = local_variable(tf.zeros([], tf.int64))
        self._value = local_variable(tf.constant(_NAN))

    def at(self, rows: tf.Tensor, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
        def renew() -> bool:
            self._rows.assign(rows)
            self._value.assign(compute())
            return True

        last_rows = tf.convert_to_tensor(self._rows)
        tf.cond(2 * rows >= 3 * last_rows, renew, lambda: False)
        return tf.convert_to_tensor(self._value)

    def clear(self) -> None:
        self._rows.assign(tf.zeros([], tf.int64))
        self._value.assign(_NAN)


def _flat_groups(groups: tf.Tensor) -> tf.Tensor:
    if groups is None:
        raise ValueError(
            "`groups` must be the user of each row, [batch] integers, got None. "
            "`hgr_tf.HierarchicalGroupwiseRanker` passes them in fit and evaluate; "
            "elsewhere call `update_state(y_true, y_pred, groups=users)`."
        )
    groups = tf.convert_to_tensor(groups)
    if not groups.dtype.is_integer:
        raise ValueError(f"`groups` must be integers, got {groups.dtype.name}.")
    return tf.reshape(tf.cast(groups, tf.int64), [-1])
