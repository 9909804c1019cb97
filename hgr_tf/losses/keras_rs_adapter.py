"""The ranking losses of keras-rs, on the groups of a flat batch."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.groups import NestedLists
from hgr_tf.losses.list_rows import ListRows, losses_of_rows
from hgr_tf.losses.listwise_loss import SharesOf
from hgr_tf.losses.tfr_adapter import is_loss_of

_SUM = ("sum",)
_MEAN = ("sum_over_batch_size", "mean")
_WEIGHTED_MEAN = ("mean_with_sample_weight",)

# The label by which keras-rs knows what is padded.
_PADDING = -1.0


class KerasRsAdapter:
    """A ranking loss of keras-rs as a `ListwiseLoss`.

    Lists are padded to the longest of the level. keras-rs gives a value per list
    (ListMLELoss) or per sample (pairwise losses: the sum over the samples of lower
    label); the loss's own `reduction` then makes one of them, but that padding does
    not count in a mean: it would depend on the length of other lists. A sample's
    weight weighs its value; that of a list is the mean weight of its positives (of
    its labels, where they are graded), as in tensorflow-ranking.

    Args:
        loss: The loss; its reduction must not be "none".

    Raises:
        ValueError: The reduction is "none", or Keras is not Keras 3.
    """

    def __init__(self, loss: Any) -> None:
        if loss.reduction not in (*_SUM, *_MEAN, *_WEIGHTED_MEAN):
            raise ValueError(
                "`listwise` must be a loss that is reduced to one value, got "
                f"{type(loss).__name__} with reduction={loss.reduction!r}"
            )
        self.loss = loss

    @staticmethod
    def takes(loss: Any) -> bool:
        """Whether `loss` is an instance of a ranking loss of keras-rs."""
        return KERAS_3 and is_loss_of("keras_rs", loss)

    def __call__(
        self,
        lists: NestedLists,
        labels: tf.Tensor,
        logits: tf.Tensor,
        shares_of: SharesOf,
    ) -> list[tf.Tensor]:
        """The loss of every level, the deepest first."""
        return losses_of_rows(self._compute, lists, labels, logits, "keras-rs")

    def _compute(self, rows: ListRows) -> tf.Tensor:
        labels = rows.labels.to_tensor(_PADDING)
        values = self.loss.call(labels, rows.logits.to_tensor())
        if values.shape.rank == 1:
            masses = tf.reduce_sum(rows.labels, axis=1)
            weighted = tf.reduce_sum(rows.labels * rows.weights, axis=1)
            weights = weighted / masses
        else:
            values = tf.boolean_mask(values, labels != _PADDING)
            weights = rows.weights.flat_values
        total = tf.reduce_sum(values * weights)
        if self.loss.reduction in _SUM:
            return total
        if self.loss.reduction in _WEIGHTED_MEAN:
            return total / tf.reduce_sum(weights)
        return total / tf.cast(tf.size(values), tf.float32)
