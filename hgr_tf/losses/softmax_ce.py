"""softmax_ce: listwise softmax cross entropy over nested groups."""

import tensorflow as tf

from hgr_tf.losses.list_shares import weighted_total

# Logits of a batch this close share a shift: exp(-60) is far from underflow.
_NARROW = 60.0


def softmax_ce(lists, labels, logits, shares_of):
    """Softmax cross entropy of every level.

    SoftmaxCE(G) = - sum_{i in G} w_i y_i / Y . log( exp(s_i) / Z )
    with Y = sum_G w y and Z = sum_{j in G} w_j exp(s_j): a sample of weight w
    counts as w samples, one of weight 0 as none.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch], at least 0.
        logits: float32 [batch].
        shares_of: Given the target mass of every group, here Y, what a unit of
            it counts for (see `list_shares`); lists of float32 [num_groups].

    Returns:
        A float32 scalar a level, deepest first. No gradient reaches labels or
        weights.

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise
    Approach", ICML 2007 (top-one ListNet).
    """
    targets = lists.weigh(labels)
    return cross_entropies(lists, targets, logits, shares_of(lists.sum(targets)))


def cross_entropies(lists, targets, logits, shares):
    """sum_G shares_G (Y log Z - sum_i t_i s_i) of every level, with Y = sum_i t_i.

    With S_l = sum w exp(s - shift_l), S of a parent is the sum over its children
    of S exp(shift - parent's shift), so samples are visited once for all levels.
    The gradient goes the other way: each group passes to its children what its
    softmax owes them.

    Args:
        lists: `NestedLists` of the batch.
        targets: float32 [batch], t.
        logits: float32 [batch], s.
        shares: A float32 [num_groups] a level, deepest first.

    Returns:
        A float32 scalar a level, deepest first.
    """
    # What does not count has no exponential.
    logits = lists.mask(logits, logits.dtype.min)
    masses = lists.sum(targets)
    weights = [share * mass for share, mass in zip(shares, masses, strict=True)]
    shares = _of_deepest(lists, shares)

    @tf.custom_gradient
    def losses_of(logits):
        centered, scales, offsets = _center(lists, logits, masses[0], shares)
        exponentials = lists.weigh(tf.exp(centered))
        partitions = [lists.sum_step(0, exponentials)]
        for level, scale in enumerate(scales):
            partitions.append(lists.sum_step(level + 1, partitions[-1] * scale))
        dots = lists.sum_step(0, targets * centered)
        losses = [
            weighted_total(tf.math.log(partition), weight)
            - weighted_total(dots, share)
            - offset
            for partition, weight, share, offset in zip(
                partitions, weights, shares, offsets, strict=True
            )
        ]

        def gradient(*upstreams):
            owed_by = [
                upstream * tf.math.divide_no_nan(weight, partition)
                for upstream, weight, partition in zip(
                    upstreams, weights, partitions, strict=True
                )
            ]
            owed = owed_by[-1]
            for level in reversed(range(len(scales))):
                passed = tf.gather(owed, lists.parents[level])
                owed = owed_by[level] + scales[level] * passed
            pairs = zip(upstreams, shares, strict=True)
            taken = tf.add_n([upstream * share for upstream, share in pairs])
            owed, taken = tf.gather(owed, lists.ids), tf.gather(taken, lists.ids)
            return exponentials * owed - targets * taken

        return losses, gradient

    return losses_of(logits)


def _of_deepest(lists, values):
    """Values of the groups of every level, given to the deepest groups in them."""
    spread = []
    for level, value in enumerate(values):
        for parents in reversed(lists.parents[:level]):
            value = tf.gather(value, parents)
        spread.append(value)
    return spread


def _center(lists, logits, masses, shares):
    """Logits less a shift that keeps their exponentials from overflow.

    One shift for the batch, its largest logit, is as good as a largest logit for
    every group, and much cheaper, unless exponentials underflow: float32 holds
    those of logits 87 apart.

    Args:
        lists: `NestedLists` of the batch.
        logits: float32 [batch].
        masses: float32, the target mass of the deepest groups.
        shares: What a unit of it counts for at every level.

    Returns:
        Logits less the shift of their deepest group, [batch]; for each level but
        the shallowest, exponentials of its groups' shifts less their parents'; for
        each level, the total of t (deepest shift - shift of the level), a scalar.
    """
    highest = tf.reduce_max(logits)
    lowest = tf.reduce_min(lists.mask(logits, highest))

    def by_batch():
        scales = [tf.ones([count]) for count in lists.num_groups[:-1]]
        return logits - highest, scales, [tf.constant(0.0) for _ in shares]

    def by_group():
        shifts = lists.max(logits)
        gaps = [
            shifts[level] - tf.gather(shifts[level + 1], parents)
            for level, parents in enumerate(lists.parents)
        ]
        offsets = [
            weighted_total(masses * (shifts[0] - shift), share)
            for shift, share in zip(_of_deepest(lists, shifts), shares, strict=True)
        ]
        centered = logits - tf.gather(shifts[0], lists.ids)
        return centered, [tf.exp(gap) for gap in gaps], offsets

    return tf.cond(highest - lowest < _NARROW, by_batch, by_group)
