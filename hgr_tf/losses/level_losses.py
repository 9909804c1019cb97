"""A listwise loss of every level, and how much of the batch takes part in it."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from hgr_tf.groups import NestedLists, two_classes
from hgr_tf.losses.list_shares import Normalization, list_shares
from hgr_tf.losses.listwise_loss import ListwiseLoss, needs_of


def level_losses(
    loss: ListwiseLoss,
    lists: NestedLists,
    labels: tf.Tensor,
    logits: tf.Tensor,
    normalization: Normalization = "positive",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the loss of every level, and its occupancy.

    Args:
        loss: What `resolve_listwise` returned.
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        normalization: "positive", "list" or "sample"; losses of other packages have
            their own.

    Returns:
        float32 [levels] losses and float32 [levels] occupancy, the share of
        the weight in a list with two classes; shallowest level first.
    """
    if needs_of(loss).clipped_labels:
        labels = tf.clip_by_value(labels, 0.0, 1.0)
    sizes = lists.sum(lists.weights)
    valid = two_classes(lists, labels)
    listed = [
        tf.reduce_sum(tf.where(v, s, 0.0)) for v, s in zip(valid, sizes, strict=True)
    ]
    occupancy = tf.math.divide_no_nan(tf.stack(listed), tf.reduce_sum(sizes[0]))

    def shares_of(targets: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [
            list_shares(*level, normalization)
            for level in zip(targets, sizes, valid, strict=True)
        ]

    # By keyword: Keras 3 takes nothing but tensors by position.
    losses = loss(lists=lists, labels=labels, logits=logits, shares_of=shares_of)
    return tf.stack(list(losses)[::-1]), occupancy[::-1]
