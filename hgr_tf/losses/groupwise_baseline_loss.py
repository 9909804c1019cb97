"""GroupwiseBaselineLoss: a listwise loss without a hierarchy, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import tensorflow as tf

from hgr_tf.groups import Groups, id_groups, whole_batch
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase, LevelWeights, check_choice
from hgr_tf.losses.list_shares import Normalization
from hgr_tf.losses.listwise_loss import Listwise


@tf.keras.utils.register_keras_serializable("hgr_tf")
class GroupwiseBaselineLoss(GroupwiseLossBase):
    """A listwise loss over the whole batch, or over each user's samples.

    It needs no quantizer: the baselines that a hierarchy is measured against.

    Args:
        listwise: See `HierarchicalGroupwiseLoss`.
        over: "batch": the batch is one list; "user": a list per user.
        level_weights: The weight of the loss, or "uncertainty".
        normalization: See `HierarchicalGroupwiseLoss`.
        global_batch: See `HierarchicalGroupwiseLoss`.

    Call arguments:
        As those of `HierarchicalGroupwiseLoss`; `codes` are not used, and
        `user_ids` are needed for over="user".

    Example:
        >>> loss = GroupwiseBaselineLoss("softmax_ce", over="batch", level_weights=1.0)
        >>> round(float(loss(tf.constant([1.0, 0.0]), tf.zeros(2))), 4)
        0.6931
    """

    def __init__(
        self,
        listwise: Listwise | Sequence[Listwise] = "list_ce",
        over: Literal["batch", "user"] = "batch",
        level_weights: LevelWeights = 0.3,
        normalization: Normalization = "positive",
        global_batch: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1, listwise, level_weights, normalization, global_batch, **kwargs
        )
        check_choice("over", over, ("batch", "user"))
        self.over = over

    @property
    def by_user(self) -> bool:
        """Whether `user_ids` are needed."""
        return self.over == "user"

    def _group(
        self, labels: tf.Tensor, codes: tf.Tensor | None, user_ids: tf.Tensor | None
    ) -> Groups:
        if self.over == "batch":
            return whole_batch(labels)
        if user_ids is None:
            raise ValueError("`user_ids` must be given with over='user', got None")
        return id_groups(user_ids)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "over": self.over}
