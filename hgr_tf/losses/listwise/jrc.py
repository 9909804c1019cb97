"""jrc: the ranking term of joint optimization of ranking and calibration."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.listwise.softmax_ce import cross_entropies
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss


@listwise_loss("jrc", clipped_labels=True)
def jrc(
    lists: NestedLists, labels: tf.Tensor, logits: tf.Tensor, shares_of: SharesOf
) -> list[tf.Tensor]:
    """Each sample against its group, on the logit of its own class.

    JRC(G) = - sum_{i in G} w_i / W . log( exp(f_i[y_i]) / sum_j w_j exp(f_j[y_i]) )
    with f[1] = s / 2 and f[0] = -s / 2: the two logits of a model that gives
    one logit s = f[1] - f[0], split evenly. Labels are binary; a label between
    0 and 1 counts as that share of both classes.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch], in [0, 1].
        logits: float32 [batch].
        shares_of: As of `softmax_ce`; the target mass is W = sum_G w.

    Returns:
        A float32 scalar a level, deepest first.

    Source: Sheng et al., "Joint Optimization of Ranking and Calibration with
    Contextualized Hybrid Model", KDD 2023 (arXiv:2208.06164), equation 5.
    """
    shares = shares_of(lists.sum(lists.weights))
    ones = cross_entropies(lists, lists.weigh(labels), 0.5 * logits, shares)
    zeros = cross_entropies(lists, lists.weigh(1.0 - labels), -0.5 * logits, shares)
    return [one + zero for one, zero in zip(ones, zeros, strict=True)]
