import warnings

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.features import USER
from hgr_tf.groups import group_statistics, prefix_groups
from hgr_tf.testing import two_replicas
from hgr_tf.training import QuantizerDiagnostics

LEVELS, CODEWORDS = 2, 4
FIGURES = (
    *("groups", "group_occupancy", "list_length_p50"),
    *("codebook_usage", "perplexity", "quantization_error", "expired_codes"),
)


def make_model(
    start_step=1, codebook_size=CODEWORDS, with_quantizer=True, expiry_threshold=0.01
):
    user = tf.keras.Input((), name="user", dtype="int64")
    embedding = tf.keras.layers.Embedding(100, 8, "normal", name="user_embedding")
    logits = tf.keras.layers.Dense(1, name="logits")(embedding(user))
    quantizer = hgr_tf.layers.ResidualVectorQuantizer(
        LEVELS,
        codebook_size,
        start_step=start_step,
        start_buffer=256,
        expiry_threshold=expiry_threshold,
    )
    model = hgr_tf.HierarchicalGroupwiseRanker(
        tf.keras.Model({"user": user}, logits),
        user_embedding="user_embedding",
        quantizer=quantizer if with_quantizer else None,
    )
    model.compile("sgd")
    return model


@pytest.fixture(scope="module")
def dataset():
    random = np.random.default_rng(0)
    user = random.integers(0, 100, 1024)
    label = random.integers(0, 2, 1024).astype("float32")
    inputs = {"user": user, USER: user}
    return tf.data.Dataset.from_tensor_slices((inputs, label)).batch(256)


def fit(model, dataset, epochs=1, **arguments):
    diagnostics = QuantizerDiagnostics(dataset, **arguments)
    return model.fit(dataset, epochs=epochs, callbacks=[diagnostics], verbose=0).history


def test_every_level_has_its_figures_in_the_history(dataset):
    model = make_model()
    history = fit(model, dataset, epochs=2)
    for figure in FIGURES:
        for level in range(1, LEVELS + 1):
            assert len(history[f"{figure}_{level}"]) == 2
    assert history["codebook_usage_1"] == [1, 1]
    assert 1 < history["perplexity_1"][-1] <= CODEWORDS
    first, second = (history[f"quantization_error_{level}"][-1] for level in (1, 2))
    assert 0 < second < first < 1


def test_lists_are_those_of_the_batches(dataset):
    model = make_model()
    history = fit(model, dataset, num_batches=1)
    inputs, labels = next(iter(dataset))
    embedding = model.ranker.get_layer("user_embedding")(inputs["user"])
    codes = model.quantizer.encode(embedding)
    expected = group_statistics(prefix_groups(codes), labels)

    def found(figure):
        return [history[f"{figure}_{level}"][0] for level in (1, 2)]

    np.testing.assert_allclose(found("group_occupancy"), expected.occupancy, rtol=1e-6)
    np.testing.assert_allclose(found("groups"), expected.num_groups)
    for i, name in enumerate(("p10", "p50", "p90")):
        lengths = expected.length_quantiles[:, i]
        np.testing.assert_allclose(found(f"list_length_{name}"), lengths)


def test_lists_are_those_of_the_first_head_that_has_lists_of_codes(dataset):
    user = tf.keras.Input((), name="user", dtype="int64")
    embedding = tf.keras.layers.Embedding(100, 8, "normal", name="user_embedding")
    vectors, heads = embedding(user), ("click", "like", "buy")
    logits = {head: tf.keras.layers.Dense(1)(vectors) for head in heads}
    by_code = hgr_tf.losses.HierarchicalGroupwiseLoss(LEVELS)
    model = hgr_tf.HierarchicalGroupwiseRanker(
        tf.keras.Model({"user": user}, logits),
        user_embedding="user_embedding",
        quantizer=hgr_tf.layers.ResidualVectorQuantizer(LEVELS, CODEWORDS),
        ranking_loss={
            "click": hgr_tf.losses.GroupwiseBaselineLoss(),
            "like": by_code,
            "buy": by_code,
        },
    )
    inputs, labels = next(iter(dataset))
    embeddings = embedding(inputs["user"])
    model.quantizer.fit(embeddings)
    never = tf.zeros_like(labels)
    targets = {"click": never, "like": labels, "buy": never}
    rows = tf.data.Dataset.from_tensors((inputs, targets))
    diagnostics, logs = QuantizerDiagnostics(rows), {}
    diagnostics.set_model(model)
    diagnostics.on_epoch_end(0, logs)
    codes = model.quantizer.encode(embeddings)
    expected = group_statistics(prefix_groups(codes), labels).occupancy
    found = [logs[f"group_occupancy_{level}"] for level in (1, 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_replaced_codewords_and_skipped_rows_are_counted(dataset):
    model = make_model(expiry_threshold=0.9)
    fit(model, dataset)
    model.quantizer(tf.fill([3, 8], np.nan), training=True)
    diagnostics, logs = QuantizerDiagnostics(dataset), {}
    diagnostics.set_model(model)
    diagnostics.on_epoch_end(0, logs)
    expired = model.quantizer.expired.numpy()
    assert [logs["expired_codes_1"], logs["expired_codes_2"]] == expired.tolist()
    assert expired.sum() > 0
    assert logs["skipped_rows"] == 3


def test_rows_that_are_not_finite_have_no_part_in_the_figures_of_codes(dataset):
    model = make_model()
    fit(model, dataset)
    table = model.ranker.get_layer("user_embedding").embeddings
    table.assign(tf.tensor_scatter_nd_update(table, [[7]], [[np.nan] * 8]))
    logs, without = {}, {}
    kept = dataset.unbatch().filter(lambda inputs, label: inputs["user"] != 7)
    for batches, figures in ((dataset, logs), (kept.batch(256), without)):
        diagnostics = QuantizerDiagnostics(batches)
        diagnostics.set_model(model)
        diagnostics.on_epoch_end(0, figures)
    for figure in ("codebook_usage", "perplexity", "quantization_error"):
        for level in (1, 2):
            name = f"{figure}_{level}"
            np.testing.assert_allclose(logs[name], without[name], rtol=1e-5)


def test_no_figures_before_the_codebooks_start(dataset):
    history = fit(make_model(start_step=6), dataset, epochs=2)
    assert len(history["perplexity_1"]) == 1


def test_no_figures_without_a_quantizer(dataset):
    assert "perplexity_1" not in fit(make_model(with_quantizer=False), dataset)


def test_empty_deepest_level_warns_once_with_advice(dataset):
    with pytest.warns(UserWarning, match="smaller codebook.* larger batch") as caught:
        small = dataset.rebatch(64)
        history = fit(make_model(codebook_size=64), small, epochs=3)
    assert max(history["group_occupancy_2"]) < 0.5
    advice = [w for w in caught if "smaller codebook" in str(w.message)]
    assert len(advice) == 1
    assert "of level 2" in str(advice[0].message)


def test_full_levels_do_not_warn(dataset):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*smaller codebook.*")
        history = fit(make_model(codebook_size=2), dataset)
    assert history["group_occupancy_2"][0] >= 0.5


def test_two_replicas_see_the_figures_of_their_own_batches(dataset):
    strategy = two_replicas()
    with strategy.scope():
        model = make_model()
    history = fit(model, dataset, num_batches=1)
    inputs, labels = next(iter(dataset.rebatch(128)))
    embedding = model.ranker.get_layer("user_embedding")(inputs["user"])
    codes = model.quantizer.encode(embedding)
    expected = group_statistics(prefix_groups(codes), labels).occupancy
    found = [history[f"group_occupancy_{level}"][0] for level in (1, 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert history["codebook_usage_1"] == [1]
