"""How fast is the hierarchical loss beside tensorflow-ranking's ragged one?

    python -m benchmarks.group_loss

Each case computes the loss of three levels and its gradient, K=128, on the same
lists: ours, ListCE on flat labels and logits with the groups of the batch;
tensorflow-ranking's, SoftmaxLoss(ragged=True) on log sigmoid of the logits. As in
training, both run inside a graph: the milliseconds are those of one of 10 steps of
gradient descent on the logits, and `ratio` is theirs over ours. `ratio_of_calls`
compares calls from Python of one step each, which cost both the same on top.

Both are handed their lists; `ours_grouped_ms` numbers the groups of the codes in
every step too, and `ratio_grouped` counts that on our side alone. Under jit, group
numbers are static.
"""

import numpy as np
import tensorflow as tf
import tensorflow_ranking as tfr

from benchmarks.timing import interleaved_ms, print_json
from hgr_tf.groups import NestedLists, prefix_groups
from hgr_tf.losses.level_losses import level_losses
from hgr_tf.losses.listwise.list_ce import list_ce

CODEBOOK_SIZE, LEVELS, STEPS = 128, 3, 10


def make_batch(size, skew, seed=0):
    random = np.random.default_rng(seed)
    shape = (size, LEVELS)
    if skew == "even":
        codes = random.integers(0, CODEBOOK_SIZE, shape)
    else:
        codes = np.minimum(random.zipf(1.3, shape), CODEBOOK_SIZE) - 1
    labels = (random.random(size) < 0.3).astype(np.float32)
    return codes, labels, random.normal(size=size).astype(np.float32)


def ours(codes, labels, logits, steps=STEPS, grouped=False, jit_compile=False):
    codes = tf.constant(codes)
    groups = prefix_groups(codes)
    if jit_compile:  # XLA needs static numbers
        groups = groups._replace(num_groups=[int(n) for n in groups.num_groups])

    def loss_of(labels, logits):
        lists = NestedLists(prefix_groups(codes) if grouped else groups)
        losses, _ = level_losses(list_ce, lists, labels, logits)
        return tf.reduce_sum(losses)

    return descent(loss_of, labels, logits, steps, jit_compile)


def theirs(codes, labels, logits, steps=STEPS):
    loss = tfr.keras.losses.SoftmaxLoss(ragged=True)
    order = np.lexsort(codes.T[::-1])
    levels = []
    for level in range(1, LEVELS + 1):
        prefixes = codes[order, :level]
        starts = np.any(prefixes[1:] != prefixes[:-1], axis=1)
        levels.append(tf.constant(np.concatenate([[0], np.cumsum(starts)])))

    def loss_of(labels, logits):
        scores = tf.math.log_sigmoid(logits)
        ragged = tf.RaggedTensor.from_value_rowids
        return tf.add_n(
            [loss(ragged(labels, rows), ragged(scores, rows)) for rows in levels]
        )

    return descent(loss_of, labels[order], logits[order], steps)


def descent(loss_of, labels, logits, steps, jit_compile=False):
    """A call that takes steps of gradient descent on the logits, in one graph."""

    @tf.function(jit_compile=jit_compile)
    def descend(labels, logits):
        for _ in tf.range(steps):
            # One after the other, as steps of training are.
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss = loss_of(labels, logits)
            logits -= tape.gradient(loss, logits)
        return logits

    tensors = tf.constant(labels), tf.constant(logits)
    return lambda: descend(*tensors).numpy()


def measure(size, skew):
    batch = make_batch(size, skew)
    milliseconds = interleaved_ms(
        {
            "ours": ours(*batch),
            "tfr": theirs(*batch),
            "jit": ours(*batch, jit_compile=True),
            "grouped": ours(*batch, grouped=True),
            "ours_call": ours(*batch, steps=1),
            "tfr_call": theirs(*batch, steps=1),
        },
        rounds=15 if size > 10_000 else 60,
    )

    def ratio(name, other):
        return milliseconds[name] / milliseconds[other]

    return {
        "batch": size,
        "skew": skew,
        "ours_ms": milliseconds["ours"] / STEPS,
        "tfr_ms": milliseconds["tfr"] / STEPS,
        "ours_jit_ms": milliseconds["jit"] / STEPS,
        "ours_grouped_ms": milliseconds["grouped"] / STEPS,
        "ratio": ratio("tfr", "ours"),
        "ratio_grouped": ratio("tfr", "grouped"),
        "ratio_of_calls": ratio("tfr_call", "ours_call"),
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
