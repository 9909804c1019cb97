"""HierarchicalGroupwiseLoss: a listwise loss inside the groups of every level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hgr_tf.groups import Groups, prefix_groups, shuffled_codes
from hgr_tf.losses.groupwise_loss import GroupwiseLossBase, LevelWeights
from hgr_tf.losses.list_shares import Normalization
from hgr_tf.losses.listwise_loss import Listwise


@tf.keras.utils.register_keras_serializable("hgr_tf")
class HierarchicalGroupwiseLoss(GroupwiseLossBase):
    """Sum over the levels of a listwise loss inside the groups of the level.

    At level l, the samples of the batch whose users share the first l codes
    are one list. A list counts when it has two classes; the lists of a level
    are averaged by `normalization`:

    L = sum_l weight_l . sum_G c_G loss(G) / sum_G c_G

    with c_G the weighted sum of the labels ("positive"; for "jrc", where every
    sample is a target, that of the weights), 1 ("list") or the sum of the
    weights ("sample"). A level without a list that counts adds exactly 0.

    Args:
        num_levels: Number of code levels.
        listwise: The name of a registered loss ("list_ce", "softmax_ce",
            "list_mle", "approx_ndcg", "lambda_loss", "pairwise_logistic",
            "jrc"); a function, layer or other `hgr_tf.losses.ListwiseLoss` of
            your own; a tensorflow-ranking key, such as "approx_ndcg_loss"; an
            instance of a ragged tensorflow-ranking Keras loss, lambda weights
            and all, or on Keras 3 of a ranking loss of keras-rs; or a list of
            these, one for each level. The losses of other packages keep their
            own reduction, and XLA cannot compile them.
        level_weights: Total weight, split evenly; a list of weights, one a
            level; "uncertainty": learned; or a
            `hgr_tf.layers.UncertaintyWeighting`, for a learning rate of its own
            (neither with losses of tensorflow-ranking, which may be negative).
        normalization: "positive", "list" or "sample".
        user_level: Adds the user as one more, deepest level.
        global_batch: Under a `tf.distribute` strategy, lists span the batches
            of all replicas.
        shuffle_codes: Deals the codes anew among the users of each batch: lists
            of the same sizes without the hierarchy, the control that tells what
            the hierarchy adds. See `hgr_tf.groups.shuffled_codes`.

    Call arguments:
        labels: [batch] or [batch, 1], at least 0. They may be graded; "jrc"
            clips them to [0, 1].
        logits: [batch] or [batch, 1].
        codes: int [batch, levels].
        sample_weight: Optional [batch] or [batch, 1], at least 0. A sample of
            weight w counts as w samples; one of weight 0 is masked out.
        user_ids: int [batch], with `user_level` or `shuffle_codes`.
        training: Whether uncertainty weights may start.

    Returns:
        float32 scalar; `compute` returns the levels too.

    Raises:
        ValueError: An argument is out of range, codes have another number of
            levels, or codes or user ids are not integers.
        NotImplementedError: A loss of another package is traced under
            `jit_compile=True`.

    Example:
        >>> loss = HierarchicalGroupwiseLoss(num_levels=2, level_weights=1.0)
        >>> labels = tf.constant([1.0, 0.0, 0.0, 1.0])
        >>> codes = tf.constant([[0, 0], [0, 0], [0, 1], [1, 0]])
        >>> float(loss(labels, tf.zeros(4), codes))  # log(3)/2 + log(2)/2
        0.895879...

    Source: arXiv:2506.12756, section 3.3 and equation 8.
    """

    def __init__(
        self,
        num_levels: int,
        listwise: Listwise | Sequence[Listwise] = "list_ce",
        level_weights: LevelWeights = 0.3,
        normalization: Normalization = "positive",
        user_level: bool = False,
        global_batch: bool = False,
        shuffle_codes: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(num_levels, int | np.integer) or num_levels < 1:
            raise ValueError(f"`num_levels` must be a positive int, got {num_levels}")
        if shuffle_codes and global_batch:
            raise ValueError(
                "`shuffle_codes` must be False with global_batch=True, as each replica "
                "would deal the codes of the batch in its own way; got True"
            )
        super().__init__(
            num_levels + bool(user_level),
            listwise,
            level_weights,
            normalization,
            global_batch,
            **kwargs,
        )
        self.num_levels = num_levels
        self.user_level = user_level
        self.shuffle_codes = shuffle_codes

    @property
    def by_user(self) -> bool:
        """Whether `user_ids` are needed."""
        return self.user_level or self.shuffle_codes

    def _group(
        self, labels: tf.Tensor, codes: tf.Tensor | None, user_ids: tf.Tensor | None
    ) -> Groups:
        shape = None if codes is None else tf.convert_to_tensor(codes).shape
        if shape is None or shape[1:] != (self.num_levels,):
            raise ValueError(f"`codes` must be [batch, {self.num_levels}], got {shape}")
        if self.by_user and user_ids is None:
            needs = "user_level" if self.user_level else "shuffle_codes"
            raise ValueError(f"`user_ids` must be given with {needs}=True, got None")
        if self.shuffle_codes:
            codes = shuffled_codes(codes, user_ids)
        users = user_ids if self.user_level else None
        return prefix_groups(codes, users)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_levels": self.num_levels,
            "user_level": self.user_level,
            "shuffle_codes": self.shuffle_codes,
        }
