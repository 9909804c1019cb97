"""How fast is the hierarchical loss beside tensorflow-ranking's ragged one?

    python -m benchmarks.group_loss

Each case computes the loss of three levels and its gradient, K=128, on the same
lists: ours, ListCE on flat labels and logits with the groups of the batch;
tensorflow-ranking's, SoftmaxLoss(ragged=True) on log sigmoid of the logits. Both
are handed their lists: `grouping_ms` is what ours takes to group a batch of codes,
and `ratio_with_grouping` counts it on our side alone. Under jit, group numbers are
static.
"""

import numpy as np
import tensorflow as tf
import tensorflow_ranking as tfr

from benchmarks.timing import interleaved_ms, print_json
from hgr_tf.groups import NestedLists, prefix_groups
from hgr_tf.losses.list_ce import list_ce
from hgr_tf.losses.listwise import level_losses

CODEBOOK_SIZE, LEVELS = 128, 3


def make_batch(size, skew, seed=0):
    random = np.random.default_rng(seed)
    shape = (size, LEVELS)
    if skew == "even":
        codes = random.integers(0, CODEBOOK_SIZE, shape)
    else:
        codes = np.minimum(random.zipf(1.3, shape), CODEBOOK_SIZE) - 1
    labels = (random.random(size) < 0.3).astype(np.float32)
    return codes, labels, random.normal(size=size).astype(np.float32)


def ours(codes, labels, logits, jit_compile=False):
    groups = prefix_groups(codes)
    if jit_compile:  # XLA needs static numbers
        groups = groups._replace(num_groups=[int(n) for n in groups.num_groups])

    @tf.function(jit_compile=jit_compile)
    def step(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses, _ = level_losses(list_ce, NestedLists(groups), labels, logits)
            value = tf.reduce_sum(losses)
        return value, tape.gradient(value, logits)

    tensors = tf.constant(labels), tf.constant(logits)
    return lambda: step(*tensors)[1].numpy()


def grouping(codes):
    run = tf.function(prefix_groups)
    codes = tf.constant(codes)
    return lambda: run(codes).ids.numpy()


def theirs(codes, labels, logits):
    loss = tfr.keras.losses.SoftmaxLoss(ragged=True)
    order = np.lexsort(codes.T[::-1])
    levels = []
    for level in range(1, LEVELS + 1):
        prefixes = codes[order, :level]
        starts = np.any(prefixes[1:] != prefixes[:-1], axis=1)
        levels.append(tf.constant(np.concatenate([[0], np.cumsum(starts)])))

    @tf.function
    def step(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            scores = tf.math.log_sigmoid(logits)
            value = 0.0
            for rows in levels:
                ragged = tf.RaggedTensor.from_value_rowids
                value += loss(ragged(labels, rows), ragged(scores, rows))
        return value, tape.gradient(value, logits)

    labels, logits = tf.constant(labels[order]), tf.constant(logits[order])
    return lambda: step(labels, logits)[1].numpy()


def measure(size, skew):
    batch = make_batch(size, skew)
    milliseconds = interleaved_ms(
        {
            "ours_ms": ours(*batch),
            "tfr_ms": theirs(*batch),
            "ours_jit_ms": ours(*batch, jit_compile=True),
            "grouping_ms": grouping(batch[0]),
        },
        rounds=15 if size > 10_000 else 60,
    )
    own, grouped = milliseconds["ours_ms"], milliseconds["grouping_ms"]
    return {
        "batch": size,
        "skew": skew,
        **milliseconds,
        "ratio": milliseconds["tfr_ms"] / own,
        "ratio_with_grouping": milliseconds["tfr_ms"] / (own + grouped),
    }


def main():
    cases = [
        measure(size, skew)
        for size in (1024, 4096, 8192, 32768)
        for skew in ("even", "zipf")
    ]
    print_json({"cases": cases})


if __name__ == "__main__":
    main()
