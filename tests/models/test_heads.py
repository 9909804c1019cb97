"""Rankers with a dict of outputs: a loss, lists and metrics for each head."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

import hgr_tf
from hgr_tf.compat import KERAS_3
from hgr_tf.layers import ResidualVectorQuantizer, UncertaintyWeighting
from hgr_tf.losses import GroupwiseBaselineLoss, HierarchicalGroupwiseLoss
from hgr_tf.metrics import GroupAUC, group_auc
from hgr_tf.models.heads import targets_of
from hgr_tf.models.objective import Objective
from hgr_tf.models.ranker_halves import RankerHalves
from hgr_tf.models.user_codes import UserCodes
from hgr_tf.testing import two_replicas

keras = tf.keras
RANDOM = np.random.default_rng(2)
ROWS = 256
USERS = RANDOM.integers(0, 12, ROWS)
ITEMS = RANDOM.integers(0, 20, ROWS)
INPUTS = {"user": USERS, "item": ITEMS, "__user__": USERS}
CLICKS = np.float32((USERS + ITEMS) % 3 == 0)
# Unknown where there was no click.
PURCHASES = np.where(CLICKS > 0, np.float32(ITEMS % 2), np.float32("nan"))
LABELS = {"purchase": PURCHASES, "click": CLICKS}
WEIGHTS = {
    "purchase": np.float32(1 + USERS % 2),
    "click": np.float32(RANDOM.integers(0, 3, ROWS)),
}


def make_ranker(heads=("click", "purchase"), dropout=0.0):
    """A ranker with some heads, or with one output for None."""
    keras.utils.set_random_seed(3)
    user = keras.Input((), name="user", dtype="int64")
    item = keras.Input((), name="item", dtype="int64")
    embedding = keras.layers.Embedding(12, 4, name="user_embedding")(user)
    other = keras.layers.Embedding(20, 4)(item)
    hidden = keras.layers.Concatenate()([embedding, other])
    hidden = keras.layers.Dense(8, "tanh")(hidden)
    hidden = keras.layers.Dropout(dropout)(hidden)
    inputs = {"user": user, "item": item}
    if heads is None:
        return keras.Model(inputs, keras.layers.Dense(1)(hidden))
    outputs = {head: keras.layers.Dense(1)(hidden) for head in heads}
    return keras.Model(inputs, outputs)


def quantized(ranker, ranking_loss, **arguments):
    return hgr_tf.HierarchicalGroupwiseRanker(
        ranker,
        user_embedding="user_embedding",
        quantizer=ResidualVectorQuantizer(2, 3, start_step=2, commitment_cost=0.1),
        ranking_loss=ranking_loss,
        **arguments,
    )


def compiled(model):
    """Compiled to run eagerly: tracing graphs takes longer than these few steps."""
    metrics = [GroupAUC(), hgr_tf.metrics.AreaUnderCurve(100)]
    model.compile("adam", metrics=metrics, run_eagerly=True)
    return model


def two_heads(**arguments):
    losses = {
        "click": HierarchicalGroupwiseLoss(2),
        "purchase": GroupwiseBaselineLoss("softmax_ce", over="user"),
    }
    arguments = {
        "quantized_loss_weight": 0.5,
        "head_weights": {"purchase": 0.5},
        "given": {"purchase": "click"},
        **arguments,
    }
    return quantized(make_ranker(), losses, **arguments)


def batches(labels=LABELS, weights=WEIGHTS, batch_size=64):
    rows = (INPUTS, labels, weights)
    return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)


@pytest.fixture(scope="module")
def trained():
    model = compiled(two_heads())
    model.history_of_test = model.fit(batches(), verbose=0).history
    return model


def test_one_head_trains_bit_equal_to_one_output():
    weights, histories = [], []
    for heads in (None, ("click",)):
        ranker = make_ranker(heads, dropout=0.2)
        loss = HierarchicalGroupwiseLoss(2, level_weights="uncertainty")
        model = compiled(
            quantized(
                ranker,
                loss if heads is None else {"click": loss},
                quantized_loss_weight=0.5,
                quantization_dropout=0.25,
                gradient_accumulation=2,
            )
        )
        targets = (CLICKS, WEIGHTS["click"])
        if heads:
            targets = tuple({"click": each} for each in targets)
        rows = batches(*targets).take(3)
        histories.append(model.fit(rows, validation_data=rows, verbose=0).history)
        weights.append(model.ranker.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = histories
    for name, values in one.items():
        split = "val_" if name.startswith("val_") else ""
        figure = name.removeprefix(split)
        of_head = "loss" if figure == "loss" else f"click/{figure}"
        assert other[f"{split}{of_head}"] == values, name
    assert len(one) == len(other)


def test_the_objective_is_the_weighted_sum_of_those_of_the_heads():
    logits = {head: RANDOM.normal(size=ROWS).astype(np.float32) for head in LABELS}
    labels, weights = targets_of(
        LABELS, WEIGHTS, ("click", "purchase"), {"purchase": "click"}
    )
    losses = {"click": GroupwiseBaselineLoss(), "purchase": GroupwiseBaselineLoss()}
    terms = Objective(ranking_loss=losses, head_weights={"purchase": 0.25}).compute(
        labels, logits, weights, regularization=3.0
    )
    expected, shown = 3.0, 3.0
    for head, weight in (("click", 1.0), ("purchase", 0.25)):
        one = Objective(ranking_loss=losses[head]).compute(
            labels[head], logits[head], weights[head]
        )
        expected += weight * one.loss
        shown += weight * one.reported["loss"].value
        for name in ("log_loss", "ranking_loss", "occupancy"):
            assert terms.reported[f"{head}/{name}"] == one.reported[name]
    np.testing.assert_allclose(terms.loss, expected, rtol=1e-6)
    np.testing.assert_allclose(terms.reported["loss"].value, shown, rtol=1e-6)


def test_learned_weights_are_those_of_uncertainty():
    logits = {head: RANDOM.normal(size=ROWS).astype(np.float32) for head in LABELS}
    labels = {"click": CLICKS, "purchase": np.nan_to_num(PURCHASES)}
    weighting = UncertaintyWeighting(2)
    terms = Objective(head_weights=weighting).compute(labels, logits, training=True)
    losses = [terms.reported[f"{head}/log_loss"].value for head in logits]
    log_sigma = weighting.log_sigma
    np.testing.assert_allclose(log_sigma, 0.5 * np.log(losses), rtol=1e-5)
    expected = np.sum(0.5 * np.array(losses) * np.exp(-2 * log_sigma) + log_sigma)
    np.testing.assert_allclose(terms.loss, expected, rtol=1e-5)


def test_learned_weights_start_with_the_codes():
    logits = {head: RANDOM.normal(size=ROWS).astype(np.float32) for head in LABELS}
    labels = {"click": CLICKS, "purchase": np.nan_to_num(PURCHASES)}
    losses = {"click": HierarchicalGroupwiseLoss(1, level_weights=5.0)}
    weighting = UncertaintyWeighting(2)
    objective = Objective(ranking_loss=losses, head_weights=weighting)

    def compute(started):
        codes = UserCodes(
            tf.zeros([ROWS, 1]), USERS[:, None] % 3, tf.zeros([]), tf.constant(started)
        )
        return objective.compute(labels, logits, codes=codes, training=True)

    with tf.GradientTape() as tape:
        terms = compute(started=False)
    halves = sum(terms.reported[f"{head}/log_loss"].value for head in logits) / 2
    np.testing.assert_allclose(terms.loss, halves, rtol=1e-6)
    (gradient,) = tape.gradient(terms.loss, weighting.trainable_variables)
    np.testing.assert_array_equal(gradient, [0, 0])
    assert np.isnan(weighting.log_sigma).all()
    terms = compute(started=True)
    of_click = terms.reported["click/log_loss"].value
    of_click += terms.reported["click/ranking_loss"].value
    found = dict(zip(logits, weighting.log_sigma.numpy(), strict=True))
    np.testing.assert_allclose(found["click"], 0.5 * np.log(of_click), rtol=1e-5)


def test_the_parts_of_learned_weights_make_their_sum():
    weighting = UncertaintyWeighting(3)
    losses, counts = tf.constant([0.5, 4.0, 0.0]), tf.constant([True, True, False])
    total = weighting(losses, counts, training=True)
    weights, penalty = weighting.weigh(losses, counts)
    summed = tf.reduce_sum(weights * losses) + penalty
    np.testing.assert_allclose(summed, total, rtol=1e-6)


def test_a_head_counts_where_the_label_it_is_given_is_positive():
    labels = {"a": [1.0, 0.0, 2.0, np.nan], "b": [1.0, np.nan, 0.0, 1.0]}
    labels, weights = targets_of(labels, None, ("a", "b"), {"b": "a"})
    assert weights["a"] is None
    np.testing.assert_array_equal(weights["b"], [1, 0, 1, 0])
    _, weights = targets_of(labels, {"b": np.full([4, 1], 2.0)}, ("a", "b"), {"b": "a"})
    np.testing.assert_array_equal(weights["b"], [2, 0, 2, 0])


def test_each_head_is_judged_on_its_own_rows(trained):
    found = trained.evaluate(batches(batch_size=100), verbose=0, return_dict=True)
    scores = trained.predict(batches(batch_size=100), verbose=0)
    total = 0.0
    for head, weight in (("click", 1.0), ("purchase", 0.5)):
        rows = CLICKS > 0 if head == "purchase" else np.ones(ROWS, bool)
        p = tf.sigmoid(scores[head][rows, 0]).numpy()
        label, weights = LABELS[head][rows], WEIGHTS[head][rows]
        expected = log_loss(label, p.astype(float), sample_weight=weights)
        assert found[f"{head}/log_loss"] == pytest.approx(expected, abs=1e-6)
        gauc = group_auc(label, p, USERS[rows], weights)
        assert found[f"{head}/gauc"] == pytest.approx(gauc, abs=1e-6)
        assert 0 < found[f"{head}/auc"] < 1
        total += weight * expected
    assert found["loss"] == pytest.approx(total, abs=1e-6)
    assert len(found) == 7


def test_a_head_of_weight_0_without_rows_leaves_the_loss_of_an_evaluation():
    model = hgr_tf.HierarchicalGroupwiseRanker(
        make_ranker(), head_weights={"purchase": 0.0}, given={"purchase": "click"}
    )
    model.compile(run_eagerly=True)
    none = {"click": 0 * CLICKS, "purchase": PURCHASES}
    with pytest.warns(UserWarning, match="purchase/log_loss.* a row of weight above 0"):
        found = model.evaluate(batches(none, None), verbose=0, return_dict=True)
    assert found["loss"] == found["click/log_loss"] > 0


def test_history_tells_of_each_head(trained):
    terms = ("log_loss", "ranking_loss", "occupancy", "auc")
    expected = {f"{head}/{term}" for head in LABELS for term in terms}
    assert set(trained.history_of_test) == {"loss", *expected}
    assert np.isfinite([*trained.history_of_test.values()]).all()


@pytest.mark.parametrize(
    "file",
    [
        "model.keras",
        pytest.param(
            "saved_model",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(KERAS_3, reason="Keras 3 has no such thing"),
            ],
        ),
    ],
)
def test_saving_and_reloading_goes_on_training(trained, file, tmp_path):
    trained.save(tmp_path / file)
    again = keras.models.load_model(tmp_path / file)
    assert again.heads == trained.heads == ("click", "purchase")
    for one, other in zip(trained.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    before = trained.evaluate(batches(), verbose=0, return_dict=True)
    after = again.evaluate(batches(), verbose=0, return_dict=True)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5)
    again.fit(batches().take(1), verbose=0)


def test_learned_weights_survive_a_file(tmp_path):
    model = quantized(make_ranker(), None, head_weights="uncertainty")
    model.compile("adam", run_eagerly=True)
    rows = batches({"click": CLICKS, "purchase": CLICKS}).take(2)
    model.fit(rows, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = again.objective.head_weights.log_sigma
    np.testing.assert_array_equal(found, model.objective.head_weights.log_sigma)
    assert np.isfinite(found).all()


def of_replicas(with_codes):
    """A model whose lists span the replicas."""
    losses = {"purchase": GroupwiseBaselineLoss(global_batch=True)}
    arguments = {"given": {"purchase": "click"}, "head_weights": "uncertainty"}
    if with_codes:
        losses["click"] = HierarchicalGroupwiseLoss(2, global_batch=True)
        return quantized(make_ranker(), losses, **arguments)
    return hgr_tf.HierarchicalGroupwiseRanker(
        make_ranker(), ranking_loss=losses, **arguments
    )


@pytest.mark.parametrize(
    "with_codes", [False, pytest.param(True, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_two_replicas_train_as_one_with_the_whole_batch(with_codes):
    weights = []
    for scope in (tf.distribute.get_strategy(), two_replicas()):
        with scope.scope():
            model = of_replicas(with_codes)
            metrics = [GroupAUC()] if with_codes else []
            model.compile(keras.optimizers.SGD(0.1), metrics=metrics)
        model.fit(batches(), verbose=0)
        figures = model.evaluate(batches(batch_size=90), verbose=0, return_dict=True)
        weights.append([*model.ranker.get_weights(), [*figures.values()]])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-5)


def test_parts_of_a_batch_train_as_the_whole_batch():
    weights = []
    for parts in (1, 3):
        model = hgr_tf.HierarchicalGroupwiseRanker(
            make_ranker(), given={"purchase": "click"}, gradient_accumulation=parts
        )
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
        model.fit(batches(batch_size=128), verbose=0)
        weights.append(model.ranker.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("passes", [1, 2])
def test_both_passes_give_every_head(passes):
    ranker = make_ranker()
    halves = RankerHalves(ranker, "user_embedding")
    users = [halves.embed_users(INPUTS)] * passes
    expected = ranker({name: INPUTS[name] for name in ("user", "item")})
    for found in halves.rank_each(INPUTS, users):
        assert list(found) == ["click", "purchase"]
        for head, logits in expected.items():
            np.testing.assert_allclose(found[head], logits, rtol=1e-5, atol=1e-6)


def listed(heads):
    """A ranker with a list of outputs."""
    ranker = make_ranker(heads)
    return keras.Model(ranker.input, list(ranker.output.values()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranking_loss": GroupwiseBaselineLoss()}, "`ranking_loss` must be a dict by"),
        (
            {"ranking_loss": {"buy": GroupwiseBaselineLoss()}},
            r"`ranking_loss` must name heads of the ranker, \['click', 'purchase'\], "
            r"got \['buy'\]",
        ),
        ({"given": {"purchase": "view"}}, r"`given` must name heads.*got \['view'\]"),
        ({"head_weights": {"x": 1.0}}, r"`head_weights` must name heads.*\['x'\]"),
        ({"head_weights": {"click": -1.0}}, "`head_weights` must be at least 0, got"),
        ({"head_weights": "equal"}, "`head_weights` must be a dict.*got 'equal'"),
        ({"head_weights": UncertaintyWeighting(3)}, "UncertaintyWeighting of as many"),
        (
            {
                "head_weights": "uncertainty",
                "ranking_loss": {
                    "click": GroupwiseBaselineLoss(level_weights="uncertainty")
                },
            },
            "`head_weights` must be fixed .* learned `level_weights`",
        ),
        (
            {"ranker": make_ranker(None), "given": {"purchase": "click"}},
            "`given` must name heads of the ranker, which has one output, got",
        ),
        (
            {"ranker": make_ranker(None), "head_weights": "uncertainty"},
            "`head_weights` must be .* of several heads, 'uncertainty'.* for 1",
        ),
        (
            {"ranker": listed(("click", "purchase"))},
            "`ranker` must have one output, or a dict of them.*got 2",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        hgr_tf.HierarchicalGroupwiseRanker(**{"ranker": make_ranker(), **arguments})


@pytest.mark.parametrize(
    ("ranker", "labels", "message"),
    [
        (
            make_ranker(),
            CLICKS,
            r"a dict of the ranker's heads \['click', 'purchase'\]",
        ),
        (make_ranker(), {"click": CLICKS}, r"heads .*, got \['click'\]"),
        (make_ranker(None), {"click": CLICKS}, r"a tensor.*got a dict of \['click'\]"),
    ],
)
def test_labels_of_other_heads_are_refused(ranker, labels, message):
    model = hgr_tf.HierarchicalGroupwiseRanker(ranker)
    with pytest.raises(ValueError, match=message):
        model.unpack((INPUTS, labels))


def test_weights_of_unknown_heads_are_refused():
    model = hgr_tf.HierarchicalGroupwiseRanker(make_ranker())
    with pytest.raises(ValueError, match=r"weights must go by .*, got \['buy'\]"):
        model.unpack((INPUTS, LABELS, {"buy": WEIGHTS["purchase"]}))


class Nameless(keras.metrics.Mean):
    """A metric that cannot have another name."""

    def __init__(self):
        super().__init__(name="nameless")


@pytest.mark.parametrize(
    ("metric", "message"),
    [("auc", "must be Keras metrics.*'auc'"), (Nameless(), "another `name`.*nameless")],
)
def test_metrics_that_no_head_can_have_a_copy_of_are_named(metric, message):
    model = hgr_tf.HierarchicalGroupwiseRanker(make_ranker())
    with pytest.raises(ValueError, match=message):
        model.compile(metrics=[metric])
