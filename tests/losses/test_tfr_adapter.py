import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.losses import HierarchicalGroupwiseLoss
from hgr_tf.testing import two_replicas
from tests.losses.reference import prefix_keys

tfr = pytest.importorskip("tensorflow_ranking")

RANDOM = np.random.default_rng(3)
BATCH = 96
CODES = RANDOM.integers(0, 4, (BATCH, 3))
LABELS = RANDOM.integers(0, 2, BATCH).astype(np.float32)
LOGITS = RANDOM.normal(scale=2, size=BATCH).astype(np.float32)


# They draw noise, or break ties at random.
RANDOMIZED = (
    tfr.keras.losses.GumbelApproxNDCGLoss,
    tfr.keras.losses.ListMLELoss,
)


def lists_of(keys):
    """Rows of each list that has both classes."""
    keys = np.array([hash(k) for k in keys])
    rows = [np.flatnonzero(keys == key) for key in np.unique(keys)]
    return [r for r in rows if len(set(LABELS[r])) == 2]


def ragged(values, lists):
    return tf.RaggedTensor.from_row_lengths(
        tf.gather(values, np.concatenate(lists)), [len(rows) for rows in lists]
    )


def tfr_value(loss, logits, keys):
    lists = lists_of(keys)
    return loss(ragged(LABELS, lists), ragged(logits, lists))


@pytest.mark.parametrize("name", ["softmax_ce", "list_ce"])
def test_own_softmax_equals_tfr_softmax_in_value_and_gradient(name):
    transform = tf.math.log_sigmoid if name == "list_ce" else tf.identity
    # Their reduction SUM weighs a list by its positives, as "positive" does.
    theirs = tfr.keras.losses.SoftmaxLoss(
        reduction=tf.keras.losses.Reduction.SUM, ragged=True
    )
    ours = HierarchicalGroupwiseLoss(3, name, [1, 1, 1])
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = ours(LABELS, logits, CODES)
    gradient = tape.gradient(value, logits)
    with tf.GradientTape() as tape:
        expected = 0.0
        for keys in prefix_keys(CODES):
            positives = LABELS[np.concatenate(lists_of(keys))].sum()
            expected += tfr_value(theirs, transform(logits), keys) / positives
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    expected = tf.convert_to_tensor(tape.gradient(expected, logits))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


GRADES = RANDOM.integers(0, 5, BATCH).astype(np.float32)
# Distinct within the batch: no order of equal labels, which differs by design.
DISTINCT = (RANDOM.permutation(BATCH) / 32).astype(np.float32)

PARITY = {
    "approx_ndcg": (GRADES, lambda r: tfr.keras.losses.ApproxNDCGLoss(r, ragged=True)),
    "list_mle": (DISTINCT, lambda r: tfr.keras.losses.ListMLELoss(r, ragged=True)),
    "list_mle: ties": (
        LABELS,
        lambda r: tfr.keras.losses.UniqueSoftmaxLoss(r, ragged=True),
    ),
    "lambda_loss": (
        GRADES,
        lambda r: tfr.keras.losses.PairwiseLogisticLoss(
            r,
            lambda_weight=tfr.keras.losses.NDCGLambdaWeight(smooth_fraction=1.0),
            ragged=True,
        ),
    ),
}


@pytest.mark.parametrize("case", PARITY)
def test_own_loss_equals_tfr_loss_of_each_list_in_value_and_gradient(case):
    """Each list is compared on its own: tensorflow-ranking's means pad."""
    labels, make = PARITY[case]
    name = case.split(":")[0]
    theirs = make(tf.keras.losses.Reduction.SUM)
    ours = HierarchicalGroupwiseLoss(1, name, 1.0)
    for rows in lists_of(prefix_keys(CODES)[1]):
        own_labels, logits = tf.constant(labels[rows]), tf.Variable(LOGITS[rows])
        if len(set(labels[rows])) < 2:
            continue
        with tf.GradientTape() as tape:
            value = ours(own_labels, logits, tf.zeros([len(rows), 1], tf.int32))
        gradient = tape.gradient(value, logits)
        with tf.GradientTape() as tape:
            ragged_rows = [
                tf.RaggedTensor.from_tensor(values[None])
                for values in (own_labels, tf.convert_to_tensor(logits))
            ]
            expected = theirs(*ragged_rows)
            if name == "approx_ndcg":  # theirs is the negative of it
                expected += 1.0
            elif name == "list_mle":
                expected /= np.sum(labels[rows] > labels[rows].min())
            else:
                _, weights = theirs._loss.compute_per_list(*ragged_rows, None)
                expected /= tf.stop_gradient(weights[0])
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
        theirs_gradient = tape.gradient(expected, logits)
        np.testing.assert_allclose(gradient, theirs_gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        tfr.keras.losses.ApproxNDCGLoss(ragged=True),
        tfr.keras.losses.PairwiseLogisticLoss(
            lambda_weight=tfr.keras.losses.DCGLambdaWeight(), ragged=True
        ),
        tfr.keras.losses.ListMLELoss(
            lambda_weight=tfr.keras.losses.ListMLELambdaWeight(
                rank_discount_fn=lambda rank: 1.0 / rank
            ),
            ragged=True,
        ),
        "gumbel_approx_ndcg_loss",
        "pairwise_hinge_loss",
    ],
    ids=lambda loss: loss if isinstance(loss, str) else type(loss).__name__,
)
def test_any_tfr_loss_at_any_level(loss):
    ours = HierarchicalGroupwiseLoss(3, ["list_ce", loss, loss])
    levels = ours.compute(LABELS, LOGITS, CODES).level_losses
    assert np.isfinite(levels).all()
    theirs = tfr.keras.losses.get(loss, ragged=True) if isinstance(loss, str) else loss
    if isinstance(theirs, RANDOMIZED):
        return
    for level in (1, 2):
        expected = tfr_value(theirs, LOGITS, prefix_keys(CODES)[level])
        np.testing.assert_allclose(levels[level], expected, rtol=1e-5)


# Neither has a list of one logit per sample.
UNFIT = {"calibrated_softmax_loss": "no ragged form", "ordinal_loss": "one logit"}
KEYS = set(tfr.keras.losses.RankingLossKey.all_keys()) - set(UNFIT)


COMMON = {"softmax_loss"}


@pytest.mark.parametrize(
    "key",
    [
        *sorted(COMMON),
        *(pytest.param(k, marks=pytest.mark.slow) for k in sorted(KEYS - COMMON)),
    ],
)
def test_every_key_trains_in_a_graph(key):
    loss = HierarchicalGroupwiseLoss(3, ["list_ce", key, key], [0, 1, 1])

    @tf.function
    def value_and_gradient(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits, CODES)
        return value, tape.gradient(value, logits)

    value, gradient = value_and_gradient(LABELS, tf.constant(LOGITS))
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert np.abs(gradient).sum() > 0
    value, gradient = value_and_gradient(np.zeros_like(LABELS), tf.constant(LOGITS))
    assert value == 0 and not np.any(gradient)


@pytest.mark.parametrize("key", UNFIT)
def test_keys_that_cannot_be_lists_of_logits_are_refused(key):
    with pytest.raises(ValueError, match="`listwise` must be") as caught:
        HierarchicalGroupwiseLoss(2, key)
    assert UNFIT[key] in f"{caught.value} {caught.value.__cause__}"


def test_gradient_flows_and_is_zero_without_a_valid_list():
    loss = HierarchicalGroupwiseLoss(1, "approx_ndcg_loss", 1.0)
    logits = tf.Variable([0.5, 0.1, -1.0])
    for labels, has_gradient in ([1.0, 0.0, 0.0], True), ([0.0, 0.0, 0.0], False):
        with tf.GradientTape() as tape:
            value = loss(labels, logits, tf.zeros([3, 1], tf.int32))
        gradient = tape.gradient(value, logits)
        assert bool(np.abs(gradient).sum() > 0) == has_gradient
        assert has_gradient or value == 0


@pytest.mark.parametrize(
    "listwise",
    [
        "approx_ndcg_loss",
        pytest.param(
            tfr.keras.losses.ApproxNDCGLoss(ragged=True), marks=pytest.mark.slow
        ),
    ],
)
def test_under_a_strategy_each_replica_has_its_mean(listwise):
    strategy = two_replicas()
    with strategy.scope():
        loss = HierarchicalGroupwiseLoss(3, listwise)
    step = tf.function(lambda: strategy.run(loss, args=(LABELS, LOGITS, CODES)))
    expected = HierarchicalGroupwiseLoss(3, "approx_ndcg_loss")(LABELS, LOGITS, CODES)
    for value in strategy.experimental_local_results(step()):
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_xla_is_refused_by_name():
    loss = HierarchicalGroupwiseLoss(3, "approx_ndcg_loss")
    step = tf.function(lambda: loss(LABELS, LOGITS, CODES), jit_compile=True)
    with pytest.raises(NotImplementedError, match="jit_compile=False"):
        step()


@pytest.mark.parametrize("several", [False, True])
def test_instance_survives_config_round_trip(several):
    instance = tfr.keras.losses.PairwiseLogisticLoss(ragged=True, temperature=2.0)
    loss = HierarchicalGroupwiseLoss(2, ["list_ce", instance] if several else instance)
    config = tf.keras.utils.serialize_keras_object(loss)
    again = tf.keras.utils.deserialize_keras_object(config)
    expected = loss(LABELS, LOGITS, CODES[:, :2])
    np.testing.assert_allclose(again(LABELS, LOGITS, CODES[:, :2]), expected)


def test_losses_that_cannot_work_are_refused():
    dense = tfr.keras.losses.ApproxNDCGLoss()
    with pytest.raises(ValueError, match="`listwise` must be made with ragged=True"):
        HierarchicalGroupwiseLoss(2, dense)
    with pytest.raises(ValueError, match="`level_weights` must be fixed"):
        HierarchicalGroupwiseLoss(2, "approx_ndcg_loss", "uncertainty")
