"""Any tensorflow-ranking Keras loss, on the groups of a flat batch."""

import tensorflow as tf

from hgr_tf.compat import under_xla
from hgr_tf.groups import two_classes

_HINT = (
    "{key!r} is none of hgr_tf's own losses, list_ce, softmax_ce, pairwise_logistic "
    "and jrc; those of tensorflow-ranking need tensorflow-ranking 0.5.5 and "
    "TensorFlow 2.15, on Python 3.10 or 3.11: install hgr_tf there"
)

# A list with both classes.
_STAND_IN = (1.0, 0.0)


def tfr_loss(key):
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


def check_tfr_loss(loss):
    """Raises `ValueError` unless a tensorflow-ranking loss takes ragged logits."""
    if not getattr(loss, "_ragged", False):
        raise ValueError(f"`listwise` must be made with ragged=True, got {loss}")
    if type(loss).__name__ == "OrdinalLoss":
        raise ValueError(
            "`listwise` must be a loss of one logit a sample, got ordinal_loss, "
            "which takes several"
        )


def is_tfr_loss(loss):
    """Whether `loss` is an instance of a tensorflow-ranking Keras loss."""
    return isinstance(loss, tf.keras.losses.Loss) and any(
        base.__module__.startswith("tensorflow_ranking") for base in type(loss).__mro__
    )


def tfr_level_losses(loss, lists, labels, logits):
    """The loss of every level's lists, each averaged as the loss itself does.

    Only lists with two classes are passed on, and only samples of weight above
    0: a level without such a list has loss 0 and zero gradients.

    Args:
        loss: A tensorflow-ranking Keras loss made with ragged=True.
        lists: `NestedLists` of the batch; its weights are passed on as
            per-item weights.
        labels: float32 [batch].
        logits: float32 [batch].

    Returns:
        A list of float32 scalars, the shallowest level first.

    Raises:
        NotImplementedError: When traced under `jit_compile=True`.
    """
    if under_xla():
        raise NotImplementedError(
            "A tensorflow-ranking loss cannot be compiled by XLA, which knows no "
            "ragged tensors: call `compile(..., jit_compile=False)`, or take one of "
            "hgr_tf's own losses."
        )
    # Keras asks for a reduction under a strategy, except of losses that, as here,
    # are averaged over the replicas; `compile` tells it so in the same way.
    loss._allow_sum_over_batch_size = True
    valid = list(reversed(two_classes(lists, labels)))
    return [
        _level_loss(loss, ids, is_list, labels, logits, lists.weights)
        for ids, is_list in zip(lists.groups.level_ids(), valid, strict=True)
    ]


def _level_loss(loss, ids, is_list, labels, logits, weights):
    kept = tf.where(tf.gather(is_list, ids) & (weights > 0))[:, 0]
    order = tf.gather(kept, tf.argsort(tf.gather(ids, kept), stable=True))
    # Lists are numbered anew: an empty one would count in the loss's mean.
    _, rows = tf.unique(tf.gather(ids, order))
    # Where there is none, a list of two stands in, and the loss is 0. Not tf.cond:
    # in a branch, losses lose the shapes that their gradients need.
    nothing = tf.equal(tf.size(order), 0)
    spare = tf.where(nothing, 2, 0)
    rows = tf.concat([rows, tf.zeros([spare], tf.int32)], axis=0)

    def ragged(values):
        values = tf.concat(
            [tf.gather(values, order), tf.constant(_STAND_IN)[:spare]], axis=0
        )
        return tf.RaggedTensor.from_value_rowids(values, rows)

    result = loss(ragged(labels), ragged(logits), sample_weight=ragged(weights))
    return tf.where(nothing, 0.0, tf.reshape(tf.cast(result, tf.float32), []))
