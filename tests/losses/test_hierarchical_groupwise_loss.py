import doctest
import importlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hgr_tf.losses import ApproxNDCG, GroupwiseBaselineLoss, HierarchicalGroupwiseLoss
from hgr_tf.losses.discounts import (
    LAST_RANK,
    discount_slopes,
    discounts,
    total_discounts,
)
from hgr_tf.testing import two_replicas
from tests.losses import reference

LISTWISE = sorted(reference.LISTWISE)
BATCH = 18


@st.composite
def batches(draw):
    def column(values, shape=BATCH, dtype="float32"):
        return draw(arrays(dtype, shape, elements=st.sampled_from(values)))

    # TensorFlow takes subnormal numbers for 0, and so for ties.
    logits = st.floats(-9, 9, width=32, allow_subnormal=False)
    return {
        "labels": column([0, 1]),
        "logits": draw(arrays("float32", BATCH, elements=logits)),
        "codes": column([0, 1, 2, 2**30], (BATCH, 3), "int32"),
        "sample_weight": column([0, 0.5, 1, 3]),
        "user_ids": column([-(2**63), -1, 5, 2**62], dtype="int64"),
    }


def random_batch(size=64, seed=0, codes=3):
    random = np.random.default_rng(seed)
    return {
        "labels": random.integers(0, 2, size).astype(np.float32),
        "logits": random.normal(scale=3, size=size).astype(np.float32),
        "codes": random.integers(0, codes, (size, 3)),
        "sample_weight": random.integers(0, 3, size).astype(np.float32),
        "user_ids": random.integers(0, 20, size) * 10**15,
    }


def expected_levels(name, batch, normalization):
    keys = reference.prefix_keys(batch["codes"], batch["user_ids"])
    columns = batch["labels"], batch["logits"], batch["sample_weight"]
    return [reference.level_loss(name, k, *columns, normalization) for k in keys]


@pytest.mark.parametrize("name", LISTWISE)
@given(
    batch=batches(),
    normalization=st.sampled_from(["positive", "list", "sample"]),
    scale=st.sampled_from([1, 20]),
)
@settings(max_examples=25)
def test_equals_numpy_reference_at_every_level(name, batch, normalization, scale):
    batch["logits"] *= scale
    loss = HierarchicalGroupwiseLoss(
        3, name, [1, 2, 3, 4], normalization, user_level=True
    )
    output = loss.compute(**batch)
    expected = expected_levels(name, batch, normalization)
    np.testing.assert_allclose(output.level_losses, expected, rtol=2e-5, atol=2e-6)
    total = np.dot(expected, [1, 2, 3, 4])
    np.testing.assert_allclose(output.loss, total, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", LISTWISE)
def test_under_xla_equals_numpy_reference(name):
    batch = random_batch()
    loss = HierarchicalGroupwiseLoss(3, name, user_level=True)
    jitted = tf.function(lambda: loss.compute(**batch), jit_compile=True)
    expected = expected_levels(name, batch, "positive")
    np.testing.assert_allclose(jitted().level_losses, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", LISTWISE)
@pytest.mark.parametrize("normalization", ["positive", "list", "sample"])
@pytest.mark.parametrize("scale", [1, 20])
def test_gradient_equals_numerical_one(name, normalization, scale):
    """Logits of scale 20 lie too far apart for one shift of the whole batch."""
    batch = random_batch(24)
    batch["logits"] *= scale
    loss = HierarchicalGroupwiseLoss(3, name, [0.5, 0.2, 0.1, 0.4], normalization, True)
    logits = tf.constant(batch.pop("logits"))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(logits=logits, **batch)
    gradient = tape.gradient(value, logits)

    def reference_total(logits):
        if name == "lambda_loss":
            logits = np.stack([logits, start])
        levels = expected_levels(name, {**batch, "logits": logits}, normalization)
        return np.dot(levels, [0.5, 0.2, 0.1, 0.4])

    numerical, logits = [], np.float64(logits)
    start = logits
    for step in 1e-5 * np.eye(24):
        rise = reference_total(logits + step) - reference_total(logits - step)
        numerical.append(rise / 2e-5)
    np.testing.assert_allclose(gradient, numerical, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LISTWISE)
def test_graded_labels(name):
    batch = random_batch(40)
    batch["labels"] = np.float32(np.random.default_rng(1).integers(0, 5, 40)) / 4
    loss = HierarchicalGroupwiseLoss(3, name, user_level=True)
    expected = expected_levels(name, batch, "positive")
    np.testing.assert_allclose(loss.compute(**batch).level_losses, expected, rtol=2e-5)


@pytest.mark.parametrize("name", LISTWISE)
def test_weight_n_equals_n_copies_and_weight_0_none(name):
    batch = random_batch()
    copies = np.repeat(np.arange(64), batch["sample_weight"].astype(int))
    repeated = {k: v[copies] for k, v in batch.items() if k != "sample_weight"}
    loss = HierarchicalGroupwiseLoss(3, name)
    batch["user_ids"] = repeated["user_ids"] = None
    np.testing.assert_allclose(loss(**batch), loss(**repeated), rtol=1e-5)


@pytest.mark.parametrize("name", LISTWISE)
@pytest.mark.parametrize("logit", [np.nan, np.inf, -np.inf])
def test_masked_logits_need_not_be_finite(name, logit):
    batch = random_batch()
    masked = batch["sample_weight"] == 0
    loss = HierarchicalGroupwiseLoss(3, name, user_level=True)
    expected = loss(**batch)
    logits = tf.constant(np.where(masked, logit, batch.pop("logits")), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(logits=logits, **batch)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    gradient = tape.gradient(value, logits).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[masked], 0)


@pytest.mark.parametrize("name", LISTWISE)
def test_masked_labels_need_not_be_there(name):
    batch = random_batch()
    loss = HierarchicalGroupwiseLoss(3, name)
    expected = loss(**batch)
    masked = batch["sample_weight"] == 0
    batch["labels"] = np.where(masked, np.nan, batch["labels"])
    np.testing.assert_allclose(loss(**batch), expected, rtol=1e-6)


# Ranks are of as many samples as the weights say: among 1e-12 samples all are first.
RANKED = {"approx_ndcg", "lambda_loss"}


@pytest.mark.parametrize("name", sorted({*LISTWISE} - RANKED))
@pytest.mark.parametrize("normalization", ["positive", "list"])
@pytest.mark.parametrize("weight", [1e-12, 1e-15])
def test_light_lists_below_the_others_do_not_underflow(name, normalization, weight):
    batch = {
        "labels": np.float32([1, 0, 1, 0]),
        "logits": np.float32([0, -1, -58, -58.5]),
        "codes": np.int32([[0], [0], [1], [1]]),
        "sample_weight": np.float32([1, 1, weight, weight]),
    }
    loss = HierarchicalGroupwiseLoss(1, name, 1.0, normalization)
    logits = tf.Variable(batch.pop("logits"))
    with tf.GradientTape() as tape:
        value = loss(logits=logits, **batch)
    gradient = tape.gradient(value, logits).numpy()
    keys = reference.prefix_keys(batch["codes"])[0]
    columns = batch["labels"], logits.numpy(), batch["sample_weight"]
    expected = reference.level_loss(name, keys, *columns, normalization)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    # What a list's rows gain, others of it lose; their weights cancel in a mean.
    if normalization == "list":
        assert gradient[2] < 0 < gradient[3]


def test_jrc_has_the_classes_of_the_labels_it_clips():
    loss = HierarchicalGroupwiseLoss(1, "jrc")
    output = loss.compute([2.0, 1.0], [0.0, 1.0], tf.zeros([2, 1], tf.int32))
    assert output.loss == 0 and output.occupancy[0] == 0


@pytest.mark.parametrize("name", LISTWISE)
def test_learned_weights_do_not_depend_on_the_scale_of_the_samples(name):
    batch = random_batch(128)
    values = []
    for scale in (1, 1e-3, 1e3):
        loss = HierarchicalGroupwiseLoss(3, name, "uncertainty")
        weights = np.float32(scale) * batch["sample_weight"]
        scaled = {**batch, "sample_weight": weights}
        values.append(loss(**scaled, training=True))
        assert np.all(loss.compute(**scaled).level_losses > 0)
    np.testing.assert_allclose(values, values[0], rtol=1e-5)


@pytest.mark.parametrize("name", LISTWISE)
@pytest.mark.parametrize(
    "labels, codes",
    [
        ([0.0] * 6, [[0, 0, 0]] * 6),
        ([1.0] * 6, [[0, 0, 0]] * 6),
        ([1.0, 0.0] * 3, [[i, 0, 0] for i in range(6)]),
        ([], np.zeros([0, 3], np.int32)),
    ],
    ids=["only negatives", "only positives", "every user alone", "empty batch"],
)
def test_without_a_valid_list_loss_and_gradient_are_exactly_zero(name, labels, codes):
    logits = tf.Variable(tf.linspace(-1e4, 1e4, len(labels)))
    for weights in (0.3, "uncertainty"):
        loss = HierarchicalGroupwiseLoss(3, name, weights)
        with tf.GradientTape() as tape:
            value = loss(np.float32(labels), logits, tf.constant(codes), training=True)
        assert value == 0
        np.testing.assert_array_equal(tape.gradient(value, logits), 0)


@pytest.mark.parametrize("name", LISTWISE)
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_logits_are_finite_and_correct(name, scale):
    batch = random_batch(24)
    batch["logits"] = np.float32(scale * np.random.default_rng(2).uniform(-1, 1, 24))
    batch["logits"][:8] = scale  # ties at the end of the range
    loss = HierarchicalGroupwiseLoss(3, name, user_level=True)
    logits = tf.Variable(batch.pop("logits"))
    with tf.GradientTape() as tape:
        output = loss.compute(logits=logits, **batch)
    gradient = tape.gradient(output.loss, logits)
    batch["logits"] = logits.numpy()
    expected = expected_levels(name, batch, "positive")
    np.testing.assert_allclose(output.level_losses, expected, rtol=1e-4, atol=1e-3)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LISTWISE)
@given(batch=batches(), order=st.permutations(range(BATCH)))
@settings(max_examples=5)
def test_order_of_the_batch_and_a_shift_of_its_logits_change_nothing(
    name, batch, order
):
    """Ties of labels and of logits are not broken by position."""
    batch["logits"] = np.round(batch["logits"])
    loss = HierarchicalGroupwiseLoss(3, name, user_level=True)
    shuffled = {key: values[np.array(order)] for key, values in batch.items()}
    expected = loss(**batch)
    np.testing.assert_allclose(loss(**shuffled), expected, rtol=1e-4, atol=1e-6)
    if name not in ("list_ce", "jrc"):  # they know where a logit is 0
        shifted = {**batch, "logits": batch["logits"] + 2}
        np.testing.assert_allclose(loss(**shifted), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["approx_ndcg", "lambda_loss", "pairwise_logistic"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_lists_over_several_tiles_equal_numpy_reference(name, jit_compile):
    """Rows of a tile may have partners in several tiles, and a last one is padded."""
    batch = random_batch(600, codes=2)
    loss = GroupwiseBaselineLoss(name, over="batch")
    logits = tf.constant(batch["logits"])
    columns = batch["labels"], batch["sample_weight"]
    signature = [tf.TensorSpec([None if not jit_compile else 600])] * 3

    @tf.function(input_signature=signature, jit_compile=jit_compile)
    def value_and_gradient(labels, logits, weights):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits, sample_weight=weights)
        return value, tape.gradient(value, logits)

    kept = slice(0, 600, 4)
    thin = tf.constant(np.where(np.arange(600) % 4, 0, columns[1]), tf.float32)
    value, gradient = value_and_gradient(columns[0], logits, thin)
    expected = 0.3 * reference.level_loss(
        name, [0] * 150, columns[0][kept], logits[kept], columns[1][kept]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0
    np.testing.assert_array_equal(gradient[1::4], 0)


def test_approx_ndcg_is_a_share_and_0_for_a_perfect_order_far_apart():
    loss = HierarchicalGroupwiseLoss(1, ApproxNDCG(0.01), 1.0)
    codes = tf.zeros([4, 1], tf.int32)
    labels = tf.constant([3.0, 0.0, 1.0, 2.0])
    np.testing.assert_allclose(loss(labels, labels, codes), 0, atol=1e-6)
    assert 0.3 < loss(labels, -labels, codes) < 1
    with pytest.raises(ValueError, match="`temperature` must be above 0, got 0"):
        ApproxNDCG(0)


def test_ranks_past_the_last_one_have_its_discount():
    ranks = tf.constant([LAST_RANK, 2.0 * LAST_RANK])
    np.testing.assert_allclose(*discounts(ranks).numpy())
    assert discount_slopes(ranks)[1] == 0
    totals = total_discounts(tf.constant([0.0, 0.5, 1.0, 2.0, 70_000.0]))
    np.testing.assert_allclose(totals[:4], [0, 0.5, 1, 1 + 1 / np.log2(3)], rtol=1e-6)
    last = totals[4] - total_discounts(tf.constant(float(LAST_RANK)))
    np.testing.assert_allclose(last, 4464 / np.log2(2 + LAST_RANK), rtol=1e-3)


@pytest.mark.parametrize(
    "module", ["hierarchical_groupwise_loss", "groupwise_baseline_loss"]
)
def test_examples_give_what_they_say(module):
    module = importlib.import_module(f"hgr_tf.losses.{module}")
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.attempted and not results.failed


def test_all_in_one_group_equals_the_whole_batch():
    batch = random_batch(codes=1)
    hierarchical = HierarchicalGroupwiseLoss(3, level_weights=0.3)
    whole = GroupwiseBaselineLoss(over="batch", level_weights=0.3)
    np.testing.assert_allclose(hierarchical(**batch), whole(**batch), rtol=1e-6)


def test_baseline_over_users_equals_reference():
    batch = random_batch()
    columns = batch["labels"], batch["logits"], batch["sample_weight"]
    expected = 0.3 * reference.level_loss("list_ce", batch["user_ids"], *columns)
    np.testing.assert_allclose(
        GroupwiseBaselineLoss(over="user")(**batch), expected, rtol=1e-5
    )


def test_levels_may_have_losses_of_their_own():
    batch = random_batch()
    mixed = HierarchicalGroupwiseLoss(3, ["list_ce", "jrc", "softmax_ce"])
    expected = [
        HierarchicalGroupwiseLoss(3, name).compute(**batch).level_losses[level]
        for level, name in enumerate(["list_ce", "jrc", "softmax_ce"])
    ]
    np.testing.assert_array_equal(mixed.compute(**batch).level_losses, expected)


def test_occupancy_is_the_share_of_samples_in_lists_of_two_classes():
    loss = HierarchicalGroupwiseLoss(2)
    codes = [[0, 0], [0, 0], [0, 1], [0, 1], [1, 0]]
    output = loss.compute([1.0, 0, 1, 1, 1], tf.zeros(5), tf.constant(codes))
    np.testing.assert_allclose(output.occupancy, [0.8, 0.4])


def test_uncertainty_begins_balanced_and_learns():
    batch = random_batch(256)
    loss = HierarchicalGroupwiseLoss(3, level_weights="uncertainty")
    with tf.GradientTape() as tape:
        value = loss(**batch, training=True)
    levels = loss.compute(**batch).level_losses
    # Each level contributes 1/2 + log sigma, and sigma is at its optimum.
    np.testing.assert_allclose(value, 1.5 + np.log(levels).sum() / 2, rtol=1e-5)
    (gradient,) = tape.gradient(value, loss.trainable_variables)
    np.testing.assert_allclose(gradient, 0, atol=1e-4)


def test_global_batch_equals_one_replica_with_the_whole_batch():
    batch = random_batch(62)
    strategy = two_replicas()
    with strategy.scope():
        loss = HierarchicalGroupwiseLoss(3, user_level=True, global_batch=True)

    def halves(values):
        parts = [values[:40], values[40:]]
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    def step(logits, rest):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(logits=logits, **rest)
            share = value / 2
        return value, tape.gradient(share, logits)

    rest = {name: halves(values) for name, values in batch.items()}
    args = (rest.pop("logits"), rest)
    values, gradients = tf.function(lambda: strategy.run(step, args=args))()
    alone = HierarchicalGroupwiseLoss(3, user_level=True)
    logits = tf.constant(batch.pop("logits"))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        expected = alone(logits=logits, **batch)
    for value in strategy.experimental_local_results(values):
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    joined = np.concatenate(strategy.experimental_local_results(gradients))
    np.testing.assert_allclose(joined, tape.gradient(expected, logits), atol=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_levels": 0}, "`num_levels` must be a positive int, got 0"),
        ({"num_levels": 2.5}, "`num_levels` must be a positive int, got 2.5"),
        ({"level_weights": np.inf}, "`level_weights` must be .*finite.* got inf"),
        ({"listwise": "nope"}, "`listwise` must be one of .*got 'nope'"),
        ({"listwise": ["list_ce"]}, "`listwise` must be one loss or 3, got 1"),
        ({"level_weights": [1.0]}, "`level_weights` must be .* got \\[1.0\\]"),
        ({"level_weights": -1.0}, "`level_weights` must be"),
        ({"level_weights": "learned"}, "`level_weights` must be .* got 'learned'"),
        ({"normalization": "mean"}, "`normalization` must be one of .*'mean'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    # Without tensorflow-ranking, an unknown name may be one of its keys.
    with pytest.raises((ValueError, ImportError), match=message):
        HierarchicalGroupwiseLoss(**{"num_levels": 3, **arguments})


def test_missing_codes_and_users_are_named():
    loss = HierarchicalGroupwiseLoss(3, user_level=True)
    with pytest.raises(ValueError, match="`codes` must be \\[batch, 3\\], got None"):
        loss(tf.ones(1), tf.zeros(1))
    with pytest.raises(ValueError, match="`user_ids` must be given"):
        loss(tf.ones(1), tf.zeros(1), tf.zeros([1, 3], tf.int32))


@pytest.mark.parametrize("codes", [[[0, 1]], [0, 1, 2], 3])
def test_codes_of_another_shape_are_named(codes):
    loss = HierarchicalGroupwiseLoss(3)
    with pytest.raises(ValueError, match="`codes` must be \\[batch, 3\\], got \\("):
        loss.compute([1.0], [0.0], codes)


@pytest.mark.parametrize("user_ids", [np.array([0.3, 0.6]), np.array(["a", "b"])])
def test_user_ids_that_are_not_integers_are_named(user_ids):
    batch = (tf.ones(2), tf.zeros(2), tf.zeros([2, 3], tf.int32))
    losses = (
        HierarchicalGroupwiseLoss(3, user_level=True),
        GroupwiseBaselineLoss(over="user"),
    )
    for loss in losses:
        with pytest.raises(ValueError, match="`user_ids` must be integers, got"):
            loss(*batch, user_ids=user_ids)


def test_codes_may_be_lists():
    batch = random_batch()
    loss = HierarchicalGroupwiseLoss(3, user_level=True)
    expected = loss(**batch)
    value = loss(**{**batch, "codes": batch["codes"].tolist()})
    np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("weights", [np.array([0.1, 0.2, 0.3]), np.array(0.3)])
def test_level_weights_may_be_an_array(weights):
    batch = random_batch()
    batch["user_ids"] = None
    loss = HierarchicalGroupwiseLoss(3, level_weights=weights)
    expected = HierarchicalGroupwiseLoss(3, level_weights=weights.tolist())
    assert loss.get_config()["level_weights"] == weights.tolist()
    np.testing.assert_array_equal(loss(**batch), expected(**batch))
