"""pairwise_logistic: every pair of a group in the wrong order pays."""

import tensorflow as tf

from hgr_tf.losses.list_shares import weighted_total

_BLOCK = 512


def pairwise_logistic(lists, labels, logits, shares_of):
    """Logistic loss of the pairs of every group, at every level.

    For the pairs i, j of G with y_i > y_j:
    Pairwise(G) = sum_ij w_i w_j log(1 + exp(s_j - s_i)) / sum_ij w_i w_j

    All pairs are visited, in blocks of rows: O(batch^2) time; memory for
    levels x 512 x batch pairs at once.

    Args:
        lists: `NestedLists` of the batch.
        labels: float32 [batch].
        logits: float32 [batch].
        shares_of: As of `softmax_ce`; the target mass is sum_G w y, so that
            groups are averaged as in `list_ce`.

    Returns:
        A float32 scalar a level, deepest first.

    Source: Burges et al., "Learning to Rank using Gradient Descent", ICML 2005.
    """
    # Pairs of weight 0 are visited too: their losses have to be finite.
    logits = lists.mask(logits, 0.0)
    ids = tf.stack(lists.groups.level_ids()[::-1])
    # One row without weight more, so that an empty batch has a row too.
    padded = (tf.pad(values, [[0, 1]]) for values in (labels, logits, lists.weights))
    sums = _row_sums(tf.pad(ids, [[0, 0], [0, 1]]), *padded)
    losses, pairs = tf.unstack(sums[..., :-1])
    targets = lists.sum(lists.weigh(labels))
    shares = shares_of(targets)
    levels = []
    for level, target in enumerate(targets):
        count = tf.shape(target)[0]
        loss = tf.math.unsorted_segment_sum(losses[level], ids[level], count)
        number = tf.math.unsorted_segment_sum(pairs[level], ids[level], count)
        means = tf.math.divide_no_nan(loss, number)
        levels.append(weighted_total(target * means, shares[level]))
    return levels


def _row_sums(ids, labels, logits, weights):
    """Each sample as the better one of its pairs: their loss and their weight.

    Args:
        ids: int32 [levels, batch].
        labels: float32 [batch].
        logits: float32 [batch].
        weights: float32 [batch].

    Returns:
        float32 [2, levels, batch]: losses and weights; gradients reach the logits.
    """

    def pair_weights(rows):
        """Weights [levels, rows, batch]: 0 unless of one group."""
        same = tf.gather(ids, rows, axis=1)[:, :, None] == ids[:, None]
        product = tf.gather(weights, rows)[:, None] * weights[None]
        return tf.where(same, product, 0.0)

    def order(rows):
        """+1 where the row is better than the column, -1 where it is worse."""
        return tf.sign(tf.gather(labels, rows)[:, None] - labels[None])

    def margins(rows, logits):
        return order(rows) * (tf.gather(logits, rows)[:, None] - logits[None])

    @tf.custom_gradient
    def sums_of(logits):
        def losses_and_weights(rows):
            paired = tf.where(order(rows) > 0, pair_weights(rows), 0.0)
            losses = paired * tf.math.softplus(-margins(rows, logits))
            return tf.reduce_sum(tf.stack([losses, paired]), axis=3)

        sums = _map_rows(losses_and_weights, tf.size(logits))

        def gradient(upstream):
            # Both samples of a pair feel the loss of the better one.
            def slopes(rows):
                of_row = tf.gather(upstream[0], rows, axis=1)[:, :, None]
                of_pair = tf.where(order(rows) > 0, of_row, upstream[0][:, None])
                factor = tf.reduce_sum(pair_weights(rows) * of_pair, axis=0)
                slope = -order(rows) * tf.sigmoid(-margins(rows, logits))
                return tf.reduce_sum(factor * slope, axis=1)

            return _map_rows(slopes, tf.size(logits))

        return sums, gradient

    return sums_of(logits)


def _map_rows(function, batch):
    """Applies `function` to blocks of row numbers; joins along the last axis."""
    blocks = (batch + _BLOCK - 1) // _BLOCK

    def block(index):
        rows = index * _BLOCK + tf.range(_BLOCK)
        # Rows past the end repeat the last one; they are cut off below.
        return function(tf.minimum(rows, batch - 1))

    mapped = tf.map_fn(
        block,
        tf.range(blocks),
        parallel_iterations=1,
        fn_output_signature=tf.float32,
    )
    rank = mapped.shape.rank
    joined = tf.transpose(mapped, [*range(1, rank - 1), 0, rank - 1])
    shape = tf.concat([tf.shape(joined)[:-2], [blocks * _BLOCK]], axis=0)
    return tf.reshape(joined, shape)[..., :batch]
