"""list_ce: regression-compatible listwise cross entropy."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.listwise.softmax_ce import softmax_ce
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss


@listwise_loss("list_ce")
def list_ce(
    lists: NestedLists, labels: tf.Tensor, logits: tf.Tensor, shares_of: SharesOf
) -> list[tf.Tensor]:
    """ListCE of every level.

    ListCE(G) = - sum_{i in G} w_i y_i / Y . log( p_i / sum_{j in G} w_j p_j )
    with p = sigmoid(s): softmax cross entropy on log sigmoid(s). Its optimum
    agrees with LogLoss's, so that calibration is kept.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch], at least 0.
        logits: float32 [batch].
        shares_of: As of `softmax_ce`; the target mass is Y = sum_G w y.

    Returns:
        A float32 scalar a level, deepest first.

    Source: Bai et al., "Regression Compatible Listwise Objectives for
    Calibrated Ranking with Binary Relevance" (arXiv:2211.01494), equation 6.
    """
    # The gradient of a masked logit that is not finite would be NaN.
    logits = lists.mask(logits, 0.0)
    return softmax_ce(lists, labels, tf.math.log_sigmoid(logits), shares_of)
