"""Any tensorflow-ranking Keras loss, on the groups of a flat batch."""

import tensorflow as tf

from hgr_tf.compat import under_xla
from hgr_tf.groups import two_classes

_HINT = (
    "{key!r} is none of hgr_tf's own losses, list_ce, softmax_ce, pairwise_logistic "
    "and jrc; those of tensorflow-ranking need tensorflow-ranking 0.5.5 and "
    "TensorFlow 2.15, on Python 3.10 or 3.11: pip install hgr_tf there"
)


def tfr_loss(key):
    """A ragged tensorflow-ranking Keras loss by its key, such as "approx_ndcg_loss".

    Raises:
        ImportError: tensorflow-ranking cannot be imported.
        ValueError: There is no such loss.
    """
    try:
        import tensorflow_ranking as tfr
    except ImportError as error:
        raise ImportError(_HINT.format(key=key)) from error
    return tfr.keras.losses.get(key, ragged=True)


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

    def ragged(values):
        return tf.RaggedTensor.from_value_rowids(tf.gather(values, order), rows)

    def value():
        result = loss(ragged(labels), ragged(logits), sample_weight=ragged(weights))
        return tf.reshape(tf.cast(result, tf.float32), [])

    # Without a list, a sum of no logits: 0, with a gradient of 0.
    nothing = tf.reduce_sum(tf.gather(logits, order))
    return tf.cond(tf.size(order) > 0, value, lambda: nothing)
