import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.compat import KERAS_3
from hgr_tf.functional.graph import input_values, run_graph
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.losses import GroupwiseBaselineLoss, HierarchicalGroupwiseLoss
from hgr_tf.metrics import GroupAUC
from hgr_tf.models.ranker_halves import halves_of
from hgr_tf.testing import two_replicas
from tests.models.two_towers import TwoTowers

keras = tf.keras
RANDOM = np.random.default_rng(0)
ROWS = 512
USERS = RANDOM.integers(0, 30, ROWS)
ITEMS = RANDOM.integers(0, 20, ROWS)
ONLY_KERAS_2 = pytest.mark.skipif(KERAS_3, reason="Keras 3 has no such thing")
LABELS = np.float32((USERS + ITEMS) % 3 == 0)
INPUTS = {"user": USERS, "item": ITEMS, "__user__": USERS * 10**12}


def make_ranker(activation=None, dropout=0.0):
    user = keras.Input((), name="user", dtype="int64")
    item = keras.Input((), name="item", dtype="int64")
    embedding = keras.layers.Embedding(30, 8, name="user_embedding")(user)
    other = keras.layers.Embedding(20, 8)(item)
    hidden = keras.layers.Concatenate()([embedding, other])
    hidden = keras.layers.Dense(16, "relu")(hidden)
    hidden = keras.layers.Dropout(dropout)(hidden)
    score = keras.layers.Dense(1, activation)(hidden)
    return keras.Model({"user": user, "item": item}, score)


def wrap(ranker=None, method="default", **kwargs):
    if method != "plain":
        kwargs = {
            "user_embedding": "user_embedding",
            "quantizer": ResidualVectorQuantizer(2, 4, start_step=2),
            "ranking_loss": HierarchicalGroupwiseLoss(
                2, level_weights="uncertainty" if method == "paper" else 0.3
            ),
            **kwargs,
        }
        if method == "paper":
            kwargs = {"quantized_loss_weight": 0.5, **kwargs}
        else:
            kwargs = {"quantization_dropout": 0.25, **kwargs}
    return hgr_tf.HierarchicalGroupwiseRanker(ranker or make_ranker(), **kwargs)


def dataset(batch_size=64, rows=ROWS):
    inputs = {k: v[:rows] for k, v in INPUTS.items()}
    return tf.data.Dataset.from_tensor_slices((inputs, LABELS[:rows])).batch(batch_size)


def compiled(model, **kwargs):
    metrics = [GroupAUC(), keras.metrics.AUC(name="auc")]
    model.compile(keras.optimizers.Adam(0.02), metrics=metrics, **kwargs)
    return model


@pytest.mark.parametrize(
    ("method", "jit_compile"),
    [
        ("default", False),
        pytest.param("paper", False, marks=pytest.mark.slow),
        pytest.param("plain", False, marks=pytest.mark.slow),
        *(
            pytest.param(method, True, marks=pytest.mark.slow)
            for method in ("plain", "default", "paper")
        ),
    ],
)
def test_fit_learns_and_evaluate_is_exact(method, jit_compile):
    model = compiled(wrap(method=method), jit_compile=jit_compile)
    history = model.fit(
        dataset(), epochs=12, validation_data=dataset(100), verbose=0
    ).history
    assert history["log_loss"][-1] < 0.8 * history["log_loss"][0]
    results = model.evaluate(dataset(100), verbose=0, return_dict=True)
    scores = tf.sigmoid(model.predict(dataset(), verbose=0)[:, 0]).numpy()
    expected = hgr_tf.metrics.group_auc(LABELS, scores, USERS)
    np.testing.assert_allclose(results["gauc"], expected, rtol=1e-5)
    np.testing.assert_allclose(history["val_gauc"][-1], expected, rtol=1e-5)
    assert "ranking_loss" not in results
    if method != "plain":
        assert 0 < history["occupancy"][-1] <= 1


def test_plain_equals_keras_fit_with_binary_crossentropy():
    keras.utils.set_random_seed(1)
    ours = compiled(wrap(method="plain"))
    keras.utils.set_random_seed(1)
    theirs = make_ranker()
    theirs.compile(keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(True))
    own = {k: INPUTS[k] for k in ("user", "item")}
    ours.fit(dataset(), epochs=2, shuffle=False, verbose=0)
    theirs.fit(own, LABELS, batch_size=64, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(ours.ranker.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_before_the_start_only_the_log_loss_is_trained():
    results = []
    for method in ("plain", "paper"):
        keras.utils.set_random_seed(1)
        quantizer = ResidualVectorQuantizer(2, 4, start_step=99, commitment_cost=1.0)
        kwargs = {"quantizer": quantizer}
        ranker = make_ranker()
        model = compiled(wrap(ranker, method, **(kwargs if method == "paper" else {})))
        model.fit(dataset(), epochs=1, verbose=0)
        results.append(ranker.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_uncertainty_waits_for_the_codes():
    model = compiled(
        wrap(quantizer=ResidualVectorQuantizer(2, 4, start_step=8), method="paper")
    )
    model.fit(dataset().take(4), epochs=1, verbose=0)
    assert np.isnan(model.ranking_loss._uncertainty.log_sigma).all()
    model.fit(dataset(), epochs=1, verbose=0)
    assert np.isfinite(model.ranking_loss._uncertainty.log_sigma).all()


def test_loss_is_the_sum_of_its_terms():
    model = compiled(wrap(method="paper"))
    model.fit(dataset(), epochs=1, verbose=0)
    model.quantization_dropout = 0.0
    inputs = {k: tf.constant(v) for k, v in INPUTS.items()}
    codes = model.quantizer.encode(model.ranker.get_layer("user_embedding")(USERS))
    quantized = model.quantizer.decode(codes)
    logits, terms = model._forward(inputs, tf.constant(LABELS), None)
    own = {name: inputs[name] for name in ("user", "item")}
    np.testing.assert_allclose(logits, model.ranker(own)[:, 0], atol=1e-5)
    halves = halves_of(model.ranker, "user_embedding")
    second = halves.rank(inputs, quantized)
    quantized_loss = keras.losses.BinaryCrossentropy(True)(LABELS[:, None], second)
    ranking = model.ranking_loss(LABELS, logits, codes)
    total = terms.reported["log_loss"].value + 0.5 * quantized_loss + ranking
    np.testing.assert_allclose(terms.loss, total, rtol=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        "default",
        pytest.param("plain", marks=pytest.mark.slow),
        pytest.param("paper", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "file", ["model.keras", pytest.param("saved_model", marks=ONLY_KERAS_2)]
)
def test_saving_and_reloading_goes_on_training(method, file, tmp_path):
    model = compiled(wrap(method=method))
    model.fit(dataset(), epochs=1, verbose=0)
    model.save(tmp_path / file)
    again = keras.models.load_model(tmp_path / file)
    assert type(again) is hgr_tf.HierarchicalGroupwiseRanker
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    before = model.evaluate(dataset(), verbose=0, return_dict=True)
    after = again.evaluate(dataset(), verbose=0, return_dict=True)
    assert before.keys() == after.keys() and "gauc" in after
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5)
    again.fit(dataset(), epochs=1, verbose=0)


@pytest.mark.slow
def test_files_load_under_a_strategy(tmp_path):
    model = wrap(method="paper")
    model.compile("adam", metrics=[GroupAUC()])
    model.fit(dataset(), verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    with two_replicas().scope():
        loaded = keras.models.load_model(tmp_path / "model.keras")
        filled = wrap(method="paper")
        filled.compile("adam", metrics=[GroupAUC()])
        filled.load_weights(tmp_path / "model.weights.h5")
    for again in (loaded, filled):
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        again.fit(dataset(), verbose=0)


@ONLY_KERAS_2
def test_a_file_with_a_legacy_optimizer_loads(tmp_path):
    model = wrap(method="plain")
    model.compile(keras.optimizers.legacy.Adam())
    model.fit(dataset(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    again.fit(dataset(), verbose=0)


def test_probabilities_as_output_train_the_same_log_loss():
    losses = []
    for activation in (None, "sigmoid"):
        keras.utils.set_random_seed(2)
        model = wrap(make_ranker(activation), "plain", from_logits=activation is None)
        history = compiled(model).fit(dataset(), epochs=2, verbose=0).history
        losses.append(history["log_loss"])
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_sample_weight_zero_is_as_if_absent():
    kept = RANDOM.random(ROWS) < 0.5
    model = compiled(wrap(method="default", quantization_dropout=0.0))
    model.fit(dataset(), epochs=1, verbose=0)
    inputs = {k: tf.constant(v) for k, v in INPUTS.items()}
    weights = tf.constant(np.float32(kept))
    _, weighted = model._forward(inputs, tf.constant(LABELS), weights)
    some = {k: v[kept] for k, v in INPUTS.items()}
    _, absent = model._forward(some, tf.constant(LABELS[kept]), None)
    # The first pass moved the codebooks: terms that depend on codes differ.
    np.testing.assert_allclose(
        weighted.reported["log_loss"].value,
        absent.reported["log_loss"].value,
        rtol=1e-4,
    )


def test_a_row_of_weight_zero_needs_no_label():
    weights = np.float32(USERS % 2)
    labels = np.where(weights > 0, LABELS, np.nan)
    results = []
    for given in (LABELS, labels):
        keras.utils.set_random_seed(0)
        model = compiled(wrap())
        model.fit(
            INPUTS,
            given,
            sample_weight=weights,
            batch_size=64,
            shuffle=False,
            verbose=0,
        )
        results.append(model.predict(INPUTS, verbose=0))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


def test_baseline_per_user_takes_the_users_from_the_inputs():
    model = compiled(
        wrap(method="plain", ranking_loss=GroupwiseBaselineLoss(over="user"))
    )
    history = model.fit(dataset(256), epochs=1, verbose=0).history
    assert history["ranking_loss"][0] > 0


def test_unique_users_train_the_same():
    weights = []
    for unique in (False, True):
        keras.utils.set_random_seed(3)
        kwargs = {
            "quantizer": ResidualVectorQuantizer(2, 4, initializer="random"),
            "user_id": "user",
            "unique_users": unique,
        }
        model = compiled(wrap(method="default", quantization_dropout=0.0, **kwargs))
        model.fit(dataset(), epochs=1, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_model_that_offers_the_halves_needs_no_layer_name():
    model = compiled(wrap(TwoTowers(), user_embedding=None))
    history = model.fit(dataset(), epochs=6, verbose=0).history
    assert history["log_loss"][-1] < history["log_loss"][0]


def test_a_model_that_offers_the_halves_is_saved_without_having_predicted(tmp_path):
    model = compiled(wrap(TwoTowers(), user_embedding=None))
    model.fit(dataset(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    again(INPUTS)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again.fit(dataset(), verbose=0)


@ONLY_KERAS_2
@pytest.mark.slow
def test_a_model_that_offers_the_halves_is_a_saved_model_after_training(tmp_path):
    model = wrap(TwoTowers(), user_embedding=None, user_id="user")
    model.compile("adam")
    own = {name: INPUTS[name] for name in ("user", "item")}
    model.fit(own, LABELS, verbose=0)
    model.save(tmp_path / "saved_model")
    again = keras.models.load_model(tmp_path / "saved_model")
    np.testing.assert_array_equal(again(own), model(own))
    again.fit(own, LABELS, verbose=0)


@pytest.mark.slow
def test_a_model_that_offers_the_halves_trains_on_two_replicas():
    with two_replicas().scope():
        model = compiled(wrap(TwoTowers(), "paper", user_embedding=None))
    model.fit(dataset(), verbose=0)
    assert bool(model.quantizer.started)


class RegularizedTowers(TwoTowers):
    """Adds a loss that its halves do not have."""

    def call(self, inputs, training=False):
        self.add_loss(tf.constant(100.0))
        return super().call(inputs, training)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_losses_of_other_calls_do_not_reach_the_training_loss(run_eagerly):
    ranker = RegularizedTowers()
    quantizer = ResidualVectorQuantizer(2, 4)
    model = hgr_tf.HierarchicalGroupwiseRanker(ranker, quantizer=quantizer)
    model.compile("adam", run_eagerly=run_eagerly)
    for _ in range(2):
        history = model.fit(dataset(), verbose=0).history
        np.testing.assert_allclose(history["loss"], history["log_loss"], rtol=1e-5)
        model.evaluate(dataset(), verbose=0)
        model.make_train_function(force=True)


def test_two_replicas_train_as_one_with_the_whole_batch():
    weights = []
    strategy = two_replicas()
    for scope in (tf.distribute.get_strategy(), strategy):
        keras.utils.set_random_seed(4)
        with scope.scope():
            model = wrap(
                method="default",
                quantization_dropout=0.0,
                ranking_loss=HierarchicalGroupwiseLoss(2, global_batch=True),
            )
            model.compile(keras.optimizers.SGD(0.1))
        model.fit(dataset(), epochs=1, verbose=0)
        weights.append(model.ranker.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.slow  # the conformance test trains a step of each
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = compiled(wrap(method="paper"))
        history = model.fit(dataset(), epochs=2, verbose=0).history
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert np.isfinite(history["loss"]).all()
    assert all(book.dtype == np.float32 for book in model.quantizer.codebooks)


def test_a_part_of_a_graph_runs_between_any_tensors_and_leaves_it_serializable():
    ranker = make_ranker(dropout=0.5)
    known = input_values(ranker, INPUTS)
    embedding = ranker.get_layer("user_embedding").output
    (value,) = run_graph([embedding], known)
    known[id(embedding)] = value
    (score,) = run_graph(ranker.outputs, known)
    own = {k: tf.constant(INPUTS[k]) for k in ("user", "item")}
    np.testing.assert_allclose(score, ranker(own), rtol=1e-6)
    (dropped,) = run_graph(ranker.outputs, known, training=True)
    assert not np.allclose(dropped, score)
    assert keras.Model.from_config(ranker.get_config()).count_params()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"user_embedding": "nope"}, "`user_embedding` must name a layer.*'nope'"),
        ({"quantizer": None}, "`quantizer` must be given"),
        ({"quantization_dropout": 2.0}, "`quantization_dropout` must be in .* 2.0"),
        ({"quantized_loss_weight": -1.0}, "`quantized_loss_weight` must be"),
        ({"quantizer": keras.layers.Dense(3)}, "`quantizer` must be a Residual.*Dense"),
        ({"quantizer": ResidualVectorQuantizer(3, 4)}, "quantizer's 3 levels, got .*2"),
        ({"ranking_loss": "list_ce"}, "`ranking_loss` must be .* got 'list_ce'"),
        ({"ranker": len}, "`ranker` must be a Keras model, got .*len"),
        ({"ranker": make_ranker("sigmoid")}, "`from_logits` must be False.* sigmoid"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        wrap(method="paper", **arguments)


def test_missing_inputs_are_named():
    with pytest.raises(ValueError, match="missing \\['item'\\]"):
        wrap(method="plain")({"user": USERS})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"loss": "mse"}, "`loss` must not be given"),
        ({"loss_weights": [2.0]}, "`loss_weights` must not be given"),
        ({"weighted_metrics": ["auc"]}, "`weighted_metrics` must not be given"),
        ({"metrics": {"click": "AUC"}}, "`metrics` must be a list"),
    ],
)
def test_what_cannot_be_compiled_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        wrap(method="plain").compile(**arguments)


@pytest.mark.parametrize(
    "metrics, loss",
    [
        ([GroupAUC()], None),
        ([], HierarchicalGroupwiseLoss(2, user_level=True)),
        ([], GroupwiseBaselineLoss(over="user")),
    ],
    ids=["gauc", "user level", "baseline"],
)
@pytest.mark.parametrize(
    "users, message",
    [
        (
            {},
            r"inputs must be a dict with '__user__' \(`user_id`\).*\['item', 'user'\]",
        ),
        ({"__user__": np.repeat("u1", ROWS)}, "'__user__'.* must be integers.* string"),
    ],
    ids=["missing", "strings"],
)
def test_user_ids_that_are_needed_are_asked_for_in_the_first_step(
    metrics, loss, users, message
):
    model = wrap(**({"ranking_loss": loss} if loss else {}))
    model.compile("adam", metrics=metrics)
    inputs = {"user": USERS, "item": ITEMS, **users}
    rows = tf.data.Dataset.from_tensor_slices((inputs, LABELS)).batch(64)
    with pytest.raises(ValueError, match=message):
        model.fit(rows, verbose=0)


@pytest.mark.parametrize(
    "metrics",
    [["accuracy", GroupAUC()], pytest.param("accuracy", marks=pytest.mark.slow)],
)
def test_accuracy_is_that_of_classes(metrics):
    model = wrap(method="plain")
    model.compile(keras.optimizers.Adam(0.02), metrics=metrics)
    model.fit(dataset(), epochs=3, verbose=0)
    results = model.evaluate(dataset(), verbose=0, return_dict=True)
    scores = model.predict(dataset(), verbose=0)[:, 0]
    expected = np.mean((scores > 0) == LABELS)
    (accuracy,) = (v for k, v in results.items() if "acc" in k)
    np.testing.assert_allclose(accuracy, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "kind", ["fresh", pytest.param("loaded", marks=pytest.mark.slow)]
)
def test_evaluate_reports_what_it_measured(kind, tmp_path):
    model = compiled(wrap())
    model.fit(dataset(), verbose=0)
    if kind == "loaded":
        file = tmp_path / "model.keras" if KERAS_3 else tmp_path / "saved_model"
        model.save(file)
        model = keras.models.load_model(file)
    values = model.evaluate(dataset(), verbose=0)
    named = model.evaluate(dataset(), verbose=0, return_dict=True)
    assert sorted(named) == ["auc", "gauc", "log_loss", "loss"]
    names = [metric.name for metric in model.metrics]
    np.testing.assert_allclose(values[0], named["loss"])
    if not KERAS_3:
        assert names[0] == "loss" and names[-2:] == ["occupancy", "ranking_loss"]
        # Names without a value come last.
        pairs = dict(zip(model.metrics_names, values, strict=False))
        np.testing.assert_allclose([pairs[k] for k in named], list(named.values()))


@pytest.mark.parametrize(
    "method", ["plain", "default", pytest.param("paper", marks=pytest.mark.slow)]
)
def test_a_batch_of_one_row_or_none_trains_and_evaluates(method):
    model = compiled(wrap(method=method))
    model.fit(dataset(), verbose=0)  # the codes have started
    for rows in (0, 1):
        few = ({name: values[:rows] for name, values in INPUTS.items()}, LABELS[:rows])
        assert np.isfinite(model.train_on_batch(*few, return_dict=True)["loss"])
        evaluated = model.test_on_batch(*few, return_dict=True)["loss"]
        assert np.isfinite(evaluated) if rows else np.isnan(evaluated)
        assert all(np.isfinite(weight).all() for weight in model.ranker.get_weights())


@pytest.mark.slow
def test_before_the_start_the_second_pass_shows_layers_no_codes():
    """It shows them the same batch again: momentum .9 twice is .81 once."""

    def batch_normalized(momentum):
        keras.utils.set_random_seed(5)
        ranker = make_ranker()
        hidden = keras.layers.BatchNormalization(momentum=momentum)(
            ranker.layers[-3].output
        )
        return keras.Model(ranker.input, keras.layers.Dense(1)(hidden))

    plain = compiled(wrap(batch_normalized(0.81), "plain"))
    quantizer = ResidualVectorQuantizer(2, 4, start_step=999)
    paper = compiled(wrap(batch_normalized(0.9), "paper", quantizer=quantizer))
    for model in (plain, paper):
        model.fit(dataset(), shuffle=False, verbose=0)
    for one, other in zip(plain.ranker.weights, paper.ranker.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [[ROWS], [ROWS, 1]])
def test_metrics_are_weighted(shape):
    weights = np.float32(RANDOM.integers(0, 3, ROWS))
    model = wrap(method="plain")
    metrics = [hgr_tf.metrics.PredictedOverObserved(), keras.metrics.AUC(), GroupAUC()]
    model.compile("adam", metrics=metrics)
    given = weights.reshape(shape)
    model.fit(INPUTS, LABELS, sample_weight=given, verbose=0)
    results = model.evaluate(
        INPUTS, LABELS, sample_weight=given, verbose=0, return_dict=True
    )
    predicted = tf.sigmoid(model.predict(INPUTS, verbose=0)[:, 0])
    expected = np.dot(weights, predicted) / np.dot(weights, LABELS)
    np.testing.assert_allclose(results["pcoc"], expected, rtol=1e-5)


@pytest.mark.skipif(KERAS_3, reason="Keras 3 exports models, it does not save them so")
@pytest.mark.slow
@pytest.mark.parametrize("method", ["plain", "paper"])
def test_a_saved_model_in_the_middle_of_training_ranks_the_same(method, tmp_path):
    model = compiled(wrap(method=method))
    model.fit(dataset(), verbose=0)
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    inputs = {name: tf.constant(INPUTS[name]) for name in ("user", "item")}
    (found,) = loaded.signatures["serving_default"](**inputs).values()
    np.testing.assert_allclose(found, model.ranker(inputs), rtol=1e-5, atol=1e-6)
    if method == "paper":
        books = loaded.quantizer._books.codewords
        np.testing.assert_array_equal(books, np.concatenate(model.quantizer.codebooks))
