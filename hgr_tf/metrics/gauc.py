from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hgr_tf.metrics.inputs import flat_batch, ratio, same_size
from hgr_tf.metrics.row_buffer import RowBuffer, local_variable

_NAN = float("nan")


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class GroupAUC(tf.keras.metrics.Metric):
    r"""GAUC: the impression-weighted mean of each user's own AUC.

    $$
    \mathrm{AUC}_u = \frac{\sum_{i \in u^+} \sum_{j \in u^-} w_i w_j
      (1[s_i > s_j] + \tfrac{1}{2} 1[s_i = s_j])}{W^+_u W^-_u},
    \qquad
    \mathrm{GAUC} = \frac{\sum_u (W^+_u + W^-_u) \mathrm{AUC}_u}
      {\sum_u (W^+_u + W^-_u)}
    $$

    over the users with a positive (label above 0) and a negative, with $W^+_u$
    and $W^-_u$ the weights of a user's positives and negatives. It is undefined,
    NaN, while no user has both, and NaN once a score is NaN. Scores under 1.2e-38 in
    size tie with 0: TensorFlow has no subnormal numbers.

    The figure is exact, equal to `hgr_tf.metrics.group_auc` on the same rows: the
    metric keeps every row (16 bytes, up to twice that while the buffer doubles;
    on each replica under a strategy) and sorts them at `result()`. The rows are
    not saved with a model.

    Keras asks for the result at every step, to show it. A model that knows this
    metric asks for `running_result()` there, as `HierarchicalGroupwiseRanker`
    does, and leaves `result()` to the end of the epoch.

    XLA cannot compile a state that grows: under `jit_compile=True` updates raise
    `NotImplementedError`.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result; scores are compared as float32 whatever it is.

    Example:
        >>> metric = hgr_tf.metrics.GroupAUC()
        >>> metric.update_state([1, 0, 1, 0], [.9, .1, .3, .7], groups=[7, 7, 8, 8])
        >>> float(metric.result())
        0.5

    Source: Zhu et al., "Optimized Cost per Click in Taobao Display Advertising",
    KDD 2017, arXiv:1703.02091 (GAUC).
    """

    def __init__(self, name: str = "gauc", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._rows = RowBuffer(
            {
                "groups": tf.int64,
                "scores": tf.float32,
                # The weight of a positive, minus the weight of a negative.
                "signed_weights": tf.float32,
            }
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
        signed_weights = tf.where(y_true > 0, weights, -weights)
        self._rows.append(
            {
                "groups": groups,
                "scores": y_pred,
                "signed_weights": signed_weights,
            }
        )

    def result(self) -> tf.Tensor:
        """The GAUC of the rows so far, a scalar. Sorts them all."""
        return tf.cast(_group_auc(**self._rows.rows()), self.dtype)

    def running_result(self) -> tf.Tensor:
        """A result for progress bars, at a cost that stays in proportion.

        It is computed anew when the rows have grown by half since the last time,
        so a whole epoch of calls costs about three sorts of all its rows instead
        of one per step.

        Returns:
            A scalar: the GAUC of the rows so far, or of the first two thirds or
            more of them.
        """
        value = self._running.at(
            self._rows.count(), lambda: _group_auc(**self._rows.rows())
        )
        return tf.cast(value, self.dtype)

    def reset_state(self) -> None:
        """Forgets all rows."""
        self._rows.clear()
        self._running.clear()


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


def _group_auc(
    groups: tf.Tensor, scores: tf.Tensor, signed_weights: tf.Tensor
) -> tf.Tensor:
    """The algorithm of `hgr_tf.metrics.group_auc`, in TensorFlow."""
    by_score = tf.argsort(scores, stable=True)
    by_group = tf.argsort(tf.gather(groups, by_score), stable=True)
    order = tf.gather(by_score, by_group)
    scores, groups = tf.gather(scores, order), tf.gather(groups, order)
    signed_weights = tf.cast(tf.gather(signed_weights, order), tf.float64)

    # Rows of one group with one score tie; the sums run over ties, then groups.
    starts_group = _differs_from_previous(groups)
    starts_tie = starts_group | _differs_from_previous(scores)
    tie = _segment_ids(starts_tie)
    group_of_tie = _segment_ids(tf.boolean_mask(starts_group, starts_tie))
    positives = tf.math.segment_sum(tf.nn.relu(signed_weights), tie)
    negatives = tf.math.segment_sum(tf.nn.relu(-signed_weights), tie)
    below = tf.cumsum(negatives, exclusive=True)
    # Never falling, so a group's smallest is what lies below the whole group.
    below -= tf.gather(tf.math.segment_min(below, group_of_tie), group_of_tie)

    wins = tf.math.segment_sum(positives * (below + 0.5 * negatives), group_of_tie)
    positives = tf.math.segment_sum(positives, group_of_tie)
    negatives = tf.math.segment_sum(negatives, group_of_tie)
    pairs = positives * negatives
    auc = tf.math.divide_no_nan(wins, pairs)
    group_weights = tf.where(pairs > 0, positives + negatives, 0)
    gauc = ratio(tf.reduce_sum(group_weights * auc), tf.reduce_sum(group_weights))
    has_nan = tf.reduce_any(tf.math.is_nan(scores))
    return tf.where(has_nan, _NAN, tf.cast(gauc, tf.float32))


def _differs_from_previous(column: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.ones_like(column[:1], tf.bool), column[1:] != column[:-1]], 0)


def _segment_ids(starts: tf.Tensor) -> tf.Tensor:
    return tf.cumsum(tf.cast(starts, tf.int32)) - 1
