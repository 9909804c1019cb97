"""Names of listwise losses -> the level losses they compute."""

import tensorflow as tf

from hgr_tf.groups import two_classes
from hgr_tf.losses.jrc import jrc
from hgr_tf.losses.list_ce import list_ce
from hgr_tf.losses.list_shares import list_shares
from hgr_tf.losses.pairwise_logistic import pairwise_logistic
from hgr_tf.losses.softmax_ce import softmax_ce
from hgr_tf.losses.tfr_adapter import (
    check_tfr_loss,
    is_tfr_loss,
    tfr_level_losses,
    tfr_loss,
)

LISTWISE = {
    "jrc": jrc,
    "list_ce": list_ce,
    "pairwise_logistic": pairwise_logistic,
    "softmax_ce": softmax_ce,
}


def resolve_listwise(listwise):
    """A function of `LISTWISE` by name, or a tensorflow-ranking loss.

    Args:
        listwise: A key of `LISTWISE`, a tensorflow-ranking key such as
            "approx_ndcg_loss", or an instance of one of its ragged Keras losses.

    Raises:
        ValueError: It is none of them, or takes several logits a sample.
        ImportError: A tensorflow-ranking key without tensorflow-ranking.
    """
    if isinstance(listwise, str) and listwise in LISTWISE:
        return LISTWISE[listwise]
    loss = listwise
    if not is_tfr_loss(listwise):
        try:
            loss = tfr_loss(listwise)
        except ValueError as error:
            raise ValueError(
                f"`listwise` must be one of {sorted(LISTWISE)}, a tensorflow-ranking "
                f"key or a ragged tensorflow-ranking loss, got {listwise!r}"
            ) from error
    check_tfr_loss(loss)
    return loss


def level_losses(loss, lists, labels, logits, normalization="positive"):
    """Loss of every level, and how much of the batch takes part in it.

    Args:
        loss: What `resolve_listwise` returned.
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        normalization: Of own losses; tensorflow-ranking's have their own.

    Returns:
        float32 [levels] losses and float32 [levels] occupancy, the share of
        the samples in a list with two classes; shallowest level first.
    """
    if loss is jrc:
        labels = tf.clip_by_value(labels, 0.0, 1.0)
    counts = lists.counts()
    valid = two_classes(lists, labels)
    listed = [
        tf.reduce_sum(tf.where(v, c, 0.0)) for v, c in zip(valid, counts, strict=True)
    ]
    occupancy = tf.math.divide_no_nan(tf.stack(listed), tf.reduce_sum(counts[0]))
    if is_tfr_loss(loss):
        losses = tfr_level_losses(loss, lists, labels, logits)
        return tf.stack(losses), occupancy[::-1]
    sizes = lists.sum(lists.weights)

    def shares_of(targets):
        return [
            list_shares(*level, normalization)
            for level in zip(targets, sizes, valid, strict=True)
        ]

    losses = loss(lists, labels, logits, shares_of)
    return tf.stack(losses[::-1]), occupancy[::-1]
