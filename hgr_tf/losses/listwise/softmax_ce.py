"""softmax_ce: listwise softmax cross entropy over nested groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.losses.list_shares import weighted_total
from hgr_tf.losses.listwise_loss import SharesOf, listwise_loss

Centered = tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]

# Logits of a batch this close share a shift: exp(-60) is far from underflow.
_NARROW = 60.0


@listwise_loss("softmax_ce")
def softmax_ce(
    lists: NestedLists, labels: tf.Tensor, logits: tf.Tensor, shares_of: SharesOf
) -> list[tf.Tensor]:
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


def cross_entropies(
    lists: NestedLists,
    targets: tf.Tensor,
    logits: tf.Tensor,
    shares: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
    """sum_G shares_G (Y log Z - sum_i t_i s_i) of every level, with Y = sum_i t_i.

    With S = sum w exp(s - shift) and D = sum t (s - shift), those of a parent are
    the sums over its children of S exp(gap) and D + Y gap, where gap = shift -
    parent's shift: samples are visited once for all levels. The gradient goes the
    other way: each group passes to its children what its softmax owes them and
    what its targets take.

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

    @tf.custom_gradient
    def losses_of(
        logits: tf.Tensor,
    ) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
        centered, scales, drifts = _center(lists, logits, masses)
        exponentials = lists.weigh(tf.exp(centered))
        partitions = [lists.sum_step(0, exponentials)]
        dots = [lists.sum_step(0, targets * centered)]
        for step, (scale, drift) in enumerate(zip(scales, drifts, strict=True), 1):
            partitions.append(lists.sum_step(step, partitions[-1] * scale))
            dots.append(lists.sum_step(step, dots[-1] + drift))
        losses = [
            weighted_total(mass * tf.math.log(partition) - dot, share)
            for mass, partition, dot, share in zip(
                masses, partitions, dots, shares, strict=True
            )
        ]

        def gradient(*upstreams: tf.Tensor) -> tf.Tensor:
            levels = zip(upstreams, shares, strict=True)
            taken_by = [upstream * share for upstream, share in levels]
            owed_by = [
                taken * tf.math.divide_no_nan(mass, partition)
                for taken, mass, partition in zip(
                    taken_by, masses, partitions, strict=True
                )
            ]
            owed, taken = owed_by[-1], taken_by[-1]
            for level in reversed(range(len(scales))):
                parents = lists.parents[level]
                owed = owed_by[level] + scales[level] * tf.gather(owed, parents)
                taken = taken_by[level] + tf.gather(taken, parents)
            owed, taken = tf.gather(owed, lists.ids), tf.gather(taken, lists.ids)
            return exponentials * owed - targets * taken

        return losses, gradient

    return losses_of(logits)


def _center(
    lists: NestedLists, logits: tf.Tensor, masses: Sequence[tf.Tensor]
) -> Centered:
    """Logits less a shift that keeps their exponentials from overflow.

    One shift for the batch, its largest logit, is as good as a largest logit for
    every group, and much cheaper, unless exponentials underflow: float32 holds
    those of logits 87 apart.

    Args:
        lists: `NestedLists` of the batch.
        logits: float32 [batch].
        masses: A float32 [num_groups] a level, deepest first: Y.

    Returns:
        Logits less the shift of their deepest group, [batch]; for each level but
        the shallowest, exp(gap) and Y gap of its groups, where gap is their
        shift less their parent's.
    """
    highest = tf.reduce_max(logits)
    lowest = tf.reduce_min(lists.mask(logits, highest))

    def by_batch() -> Centered:
        counts = lists.num_groups[:-1]
        scales, drifts = [tf.ones([n]) for n in counts], [tf.zeros([n]) for n in counts]
        return logits - highest, scales, drifts

    def by_group() -> Centered:
        shifts = lists.max(logits)
        gaps = [
            shifts[level] - tf.gather(shifts[level + 1], parents)
            for level, parents in enumerate(lists.parents)
        ]
        # Groups without samples have gaps of any size, and no mass.
        drifts = map(tf.math.multiply_no_nan, gaps, masses)
        centered = logits - tf.gather(shifts[0], lists.ids)
        return centered, [tf.exp(gap) for gap in gaps], list(drifts)

    # The exponential of a light sample is as small as that of a lower logit.
    spread = highest - lowest - tf.math.log(lists.lightest())
    return tf.cond(spread < _NARROW, by_batch, by_group)
