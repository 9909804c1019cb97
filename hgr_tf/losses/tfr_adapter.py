"""Any tensorflow-ranking Keras loss, on the groups of a flat batch."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.list_rows import ListRows, losses_of_rows
from hgr_tf.losses.listwise_loss import Needs, SharesOf

_HINT = (
    "{key!r} is none of hgr_tf's own losses; those of tensorflow-ranking need "
    "tensorflow-ranking 0.5.5 and TensorFlow 2.15, on Python 3.10 or 3.11: install "
    "hgr_tf there"
)


class TfrAdapter:
    """A ragged tensorflow-ranking Keras loss as a `ListwiseLoss`.

    The loss keeps its own reduction; samples' weights are its per-item weights.

    Args:
        loss: The loss, made with ragged=True.

    Raises:
        ValueError: The loss is not ragged, or takes several logits a sample.
    """

    needs = Needs(fixed_level_weights=True)

    def __init__(self, loss: tf.keras.losses.Loss) -> None:
        if not getattr(loss, "_ragged", False):
            raise ValueError(f"`listwise` must be made with ragged=True, got {loss}")
        if type(loss).__name__ == "OrdinalLoss":
            raise ValueError(
                "`listwise` must be a loss of one logit per sample, got ordinal_loss, "
                "which takes several"
            )
        self.loss = loss

    @staticmethod
    def takes(loss: Any) -> bool:
        """Whether `loss` is an instance of a tensorflow-ranking Keras loss."""
        return is_loss_of("tensorflow_ranking", loss)

    def __call__(
        self,
        lists: NestedLists,
        labels: tf.Tensor,
        logits: tf.Tensor,
        shares_of: SharesOf,
    ) -> list[tf.Tensor]:
        """The loss of every level, the deepest first."""
        # Keras asks for a reduction under a strategy, except of losses that, as here,
        # are averaged over the replicas; `compile` tells it so in the same way.
        self.loss._allow_sum_over_batch_size = True
        return losses_of_rows(
            self._compute, lists, labels, logits, "tensorflow-ranking"
        )

    def _compute(self, rows: ListRows) -> tf.Tensor:
        return self.loss(rows.labels, rows.logits, sample_weight=rows.weights)


def tfr_loss(key: str) -> tf.keras.losses.Loss:
    """A ragged tensorflow-ranking Keras loss by its key, such as "approx_ndcg_loss".

    Raises:
        ImportError: tensorflow-ranking cannot be imported.
        ValueError: There is no such loss, or it has no ragged form.
    """
    try:
        import tensorflow_ranking as tfr
    except ImportError as error:
        raise ImportError(_HINT.format(key=key)) from error
    try:
        return tfr.keras.losses.get(key, ragged=True)
    except TypeError as error:
        raise ValueError(f"{key!r} has no ragged form") from error


def is_loss_of(package: str, loss: Any) -> bool:
    """Whether `loss` is a Keras loss whose class, or a base of it, is of a package."""
    return isinstance(loss, tf.keras.losses.Loss) and any(
        base.__module__.split(".")[0] == package for base in type(loss).__mro__
    )
