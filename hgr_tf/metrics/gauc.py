from __future__ import annotations

import tensorflow as tf

from hgr_tf.metrics.group_metric import GroupMetric
from hgr_tf.metrics.inputs import ratio
from hgr_tf.metrics.sorted_groups import differs_from_previous, order_of, segment_ids


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class GroupAUC(GroupMetric):
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

    The figure is exact, equal to `hgr_tf.metrics.group_auc` on the same rows; see
    `GroupMetric` for what it keeps, and when it computes.

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
        super().__init__(name, dtype)

    def _targets(self, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The weight of a positive, minus the weight of a negative."""
        return tf.where(labels > 0, weights, -weights)

    def _of_rows(
        self, groups: tf.Tensor, scores: tf.Tensor, targets: tf.Tensor
    ) -> tf.Tensor:
        """The algorithm of `hgr_tf.metrics.group_auc`, in TensorFlow."""
        order = order_of(groups, scores)
        scores, groups = tf.gather(scores, order), tf.gather(groups, order)
        signed_weights = tf.cast(tf.gather(targets, order), tf.float64)

        # Rows of one group with one score tie; the sums run over ties, then groups.
        starts_group = differs_from_previous(groups)
        starts_tie = starts_group | differs_from_previous(scores)
        tie = segment_ids(starts_tie)
        group_of_tie = segment_ids(tf.boolean_mask(starts_group, starts_tie))
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
        return ratio(tf.reduce_sum(group_weights * auc), tf.reduce_sum(group_weights))
