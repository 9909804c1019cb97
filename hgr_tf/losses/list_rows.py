"""The lists of each level for losses that want every list in a row of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from hgr_tf.compat import under_xla
from hgr_tf.groups import NestedLists, two_classes

# A list with both classes.
_STAND_IN = (1.0, 0.0)


class ListRows(NamedTuple):
    """Lists of a level, a row each, as ragged float32 [lists, (samples)].

    Attributes:
        labels: Labels of the samples.
        logits: Logits of the samples.
        weights: Weights of the samples, above 0.
    """

    labels: tf.RaggedTensor
    logits: tf.RaggedTensor
    weights: tf.RaggedTensor


def losses_of_rows(
    compute: Callable[[ListRows], tf.Tensor],
    lists: NestedLists,
    labels: tf.Tensor,
    logits: tf.Tensor,
    package: str,
) -> list[tf.Tensor]:
    """The loss of every level's lists, each averaged as the loss itself does.

    Only lists with two classes are passed on, and only samples of weight above
    0: a level without such a list has loss 0 and zero gradients.

    Args:
        compute: `ListRows` of a level -> its loss, a scalar.
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        package: Whose loss it is.

    Returns:
        A list of float32 scalars, the deepest level first.

    Raises:
        NotImplementedError: When traced under `jit_compile=True`.
    """
    if under_xla():
        raise NotImplementedError(
            f"A loss of {package} cannot be compiled by XLA, as the number of lists "
            "and their lengths change: call `compile(..., jit_compile=False)`, or take "
            "one of hgr_tf's own losses."
        )
    levels = zip(
        lists.groups.level_ids()[::-1], two_classes(lists, labels), strict=True
    )
    return [
        _level_loss(compute, ids, is_list, (labels, logits, lists.weights))
        for ids, is_list in levels
    ]


def _level_loss(
    compute: Callable[[ListRows], tf.Tensor],
    ids: tf.Tensor,
    is_list: tf.Tensor,
    columns: Sequence[tf.Tensor],
) -> tf.Tensor:
    weights = columns[-1]
    kept = tf.where(tf.gather(is_list, ids) & (weights > 0))[:, 0]
    order = tf.gather(kept, tf.argsort(tf.gather(ids, kept), stable=True))
    # Lists are numbered anew: an empty one would count in the loss's mean.
    _, rows = tf.unique(tf.gather(ids, order))
    # Where there is none, a list of two stands in, and the loss is 0. Not tf.cond:
    # in a branch, losses lose the shapes that their gradients need.
    nothing = tf.equal(tf.size(order), 0)
    spare = tf.where(nothing, 2, 0)
    rows = tf.concat([rows, tf.zeros([spare], tf.int32)], axis=0)

    def ragged(values: tf.Tensor) -> tf.RaggedTensor:
        values = tf.concat(
            [tf.gather(values, order), tf.constant(_STAND_IN)[:spare]], axis=0
        )
        return tf.RaggedTensor.from_value_rowids(values, rows)

    result = compute(ListRows(*map(ragged, columns)))
    return tf.where(nothing, 0.0, tf.reshape(tf.cast(result, tf.float32), []))
