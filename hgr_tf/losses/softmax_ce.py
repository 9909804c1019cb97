"""softmax_ce: listwise softmax cross entropy over nested groups."""

import tensorflow as tf

from hgr_tf.losses.list_terms import ListTerms

# Logits of a batch this close share a shift: exp(-60) is far from underflow.
_NARROW = 60.0


def softmax_ce(lists, labels, logits):
    """Softmax cross entropy of every group, at every level.

    SoftmaxCE(G) = - sum_{i in G} w_i y_i / Y . log( exp(s_i) / Z )
    with Y = sum_G w y and Z = sum_{j in G} w_j exp(s_j): a sample of weight w
    counts as w samples, one of weight 0 as none.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch], at least 0.
        logits: float32 [batch].

    Returns:
        `ListTerms` with target mass Y. No gradient reaches labels or weights.

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise
    Approach", ICML 2007 (top-one ListNet).
    """
    targets = lists.weigh(labels)
    masses = lists.sum(targets)
    sums = _cross_entropy_sums(lists, logits, targets, masses)
    return ListTerms(sums=sums, targets=masses)


def _cross_entropy_sums(lists, logits, targets, masses):
    """Y log Z - sum_i t_i s_i of every group, a list a level, deepest first.

    With S_l = sum w exp(s - shift_l), S of a parent is the sum over its children
    of S exp(shift - parent's shift), so samples are visited once for all levels.
    The gradient goes the other way: each group passes to its children what its
    softmax owes them.
    """
    # What does not count has no exponential.
    logits = lists.mask(logits, logits.dtype.min)
    sample_shifts, shifts, scales = _shifts(lists, tf.stop_gradient(logits))

    @tf.custom_gradient
    def sums_of(logits):
        exponentials = lists.weigh(tf.exp(logits - sample_shifts))
        partitions = [lists.sum_step(0, exponentials)]
        for level, scale in enumerate(scales):
            partitions.append(lists.sum_step(level + 1, partitions[-1] * scale))
        dots = lists.sum(targets * logits)
        sums = [
            tf.math.multiply_no_nan(shift + tf.math.log(partition), mass) - dot
            for shift, partition, mass, dot in zip(
                shifts, partitions, masses, dots, strict=True
            )
        ]

        def gradient(*upstreams):
            shares = [
                tf.math.divide_no_nan(upstream * mass, partition)
                for upstream, mass, partition in zip(
                    upstreams, masses, partitions, strict=True
                )
            ]
            owed, taken = shares[-1], upstreams[-1]
            for level in reversed(range(len(scales))):
                parents = lists.parents[level]
                owed = shares[level] + scales[level] * tf.gather(owed, parents)
                taken = upstreams[level] + tf.gather(taken, parents)
            owed, taken = tf.gather(owed, lists.ids), tf.gather(taken, lists.ids)
            return exponentials * owed - targets * taken

        return sums, gradient

    return sums_of(logits)


def _shifts(lists, logits):
    """What is subtracted from the logits of a group before they are exponentiated.

    One shift for the batch, its largest logit, is as good as a largest logit for
    every group, and much cheaper, unless exponentials underflow: float32 holds
    those of logits 87 apart.

    Returns:
        Shifts of samples, [batch]; of groups, a list of [num_groups], deepest
        first; and of groups relative to their parents, exponentiated.
    """
    highest = tf.reduce_max(logits)
    lowest = tf.reduce_min(lists.mask(logits, highest))

    def of_batch():
        shifts = [tf.fill([count], highest) for count in lists.num_groups]
        scales = [tf.ones([count]) for count in lists.num_groups[:-1]]
        return tf.fill(tf.shape(logits), highest), shifts, scales

    def of_groups():
        shifts = lists.max(logits)
        scales = [
            tf.exp(shifts[level] - tf.gather(shifts[level + 1], parents))
            for level, parents in enumerate(lists.parents)
        ]
        return tf.gather(shifts[0], lists.ids), shifts, scales

    return tf.cond(highest - lowest < _NARROW, of_batch, of_groups)
