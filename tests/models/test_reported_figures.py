"""What fit and evaluate report is exact, and the same under every strategy."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

import hgr_tf
from hgr_tf.compat import KERAS_3
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.losses import HierarchicalGroupwiseLoss
from hgr_tf.testing import two_replicas
from tests.metrics.reference import slow_group_auc
from tests.models.workers import Worker, two_workers

keras = tf.keras
ROWS = 480
RANDOM = np.random.default_rng(5)
USERS = RANDOM.integers(0, 12, ROWS)
INPUTS = {
    "user": USERS,
    "score": np.float32(RANDOM.normal(size=[ROWS, 1])),
    "__user__": USERS,
}
LABELS = np.float32(RANDOM.random(ROWS) < 0.4)
WEIGHTS = np.float32(RANDOM.integers(0, 4, ROWS))


def make_model(global_batch=False):
    keras.utils.set_random_seed(0)
    user = keras.Input((), name="user", dtype="int64")
    score = keras.Input([1], name="score")
    embedding = keras.layers.Embedding(12, 4, name="user_embedding")(user)
    hidden = keras.layers.Concatenate()([embedding, score])
    output = keras.layers.Dense(1)(keras.layers.Dense(8, "tanh")(hidden))
    model = hgr_tf.HierarchicalGroupwiseRanker(
        keras.Model({"user": user, "score": score}, output),
        user_embedding="user_embedding",
        quantizer=ResidualVectorQuantizer(2, 3, start_step=2, commitment_cost=0.1),
        ranking_loss=HierarchicalGroupwiseLoss(2, global_batch=global_batch),
    )
    model.compile(
        keras.optimizers.SGD(0.1),
        metrics=[
            hgr_tf.metrics.AreaUnderCurve(),
            hgr_tf.metrics.GroupAUC(),
            hgr_tf.metrics.PredictedOverObserved(),
            hgr_tf.metrics.ExpectedCalibrationError(),
        ],
    )
    return model


def dataset(batch_size, labels=LABELS, weights=WEIGHTS, rows=slice(None)):
    inputs = {name: column[rows] for name, column in INPUTS.items()}
    columns = (inputs, labels[rows], weights[rows])
    return tf.data.Dataset.from_tensor_slices(columns).batch(batch_size)


@pytest.fixture(scope="module")
def trained():
    model = make_model()
    model.fit(dataset(60), epochs=2, verbose=0)
    return model


def expected_figures(model, batch_size=100):
    # In batches of one size, and as float32: other roundings break or make ties.
    logits = model.predict(dataset(batch_size), verbose=0)[:, 0]
    scores = tf.sigmoid(logits).numpy().astype(float)
    return {
        "gauc": slow_group_auc(LABELS, scores, USERS, WEIGHTS),
        "log_loss": log_loss(LABELS, scores, sample_weight=WEIGHTS),
        "loss": log_loss(LABELS, scores, sample_weight=WEIGHTS),
        "pcoc": np.dot(WEIGHTS, scores) / np.dot(WEIGHTS, LABELS),
    }


@pytest.mark.parametrize("batch_size", [7, 50, 111, 300, 1000])
def test_evaluate_is_exact_at_every_batch_size(trained, batch_size):
    found = trained.evaluate(dataset(batch_size), verbose=0, return_dict=True)
    for name, value in expected_figures(trained, batch_size).items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_the_list_that_evaluate_returns_is_exact(trained):
    found = trained.evaluate(dataset(7), verbose=0)
    expected = expected_figures(trained, batch_size=7)["gauc"]
    assert np.abs(np.array(found) - expected).min() < 1e-6


@pytest.mark.parametrize("factor", [10.0, 1.0])
def test_weights_of_any_scale_report_the_same(trained, factor):
    scaled = dataset(50, weights=factor * WEIGHTS)
    found = trained.evaluate(scaled, verbose=0, return_dict=True)
    again = trained.evaluate(dataset(111), verbose=0, return_dict=True)
    for name, value in again.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_ten_times_the_weights_log_the_same_but_for_the_size_of_the_lists():
    """Of one step at rate 0: ten times the LogLoss trains otherwise from there on.

    A row of weight 10 is ten rows: ListCE's lists grow tenfold, its value by log 10.
    """
    logged = []
    for factor in (1, 10):
        rows = dataset(ROWS, weights=np.float32(factor * WEIGHTS))
        model = make_model()
        model.quantizer.fit(model.ranker.get_layer("user_embedding")(USERS))
        model.optimizer.learning_rate.assign(0.0)
        history = model.fit(rows, validation_data=rows, verbose=0).history
        logged.append({name: values[0] for name, values in history.items()})
    one, ten = logged
    for name in ("loss", "ranking_loss"):
        ten[name] -= 0.3 * np.log(10)
    assert one["occupancy"] > 0
    for name, value in one.items():
        np.testing.assert_allclose(ten[name], value, rtol=1e-5, err_msg=name)


def test_two_replicas_log_what_one_process_logs():
    logged = []
    for scope in (tf.distribute.get_strategy(), two_replicas()):
        with scope.scope():
            model = make_model(global_batch=True)
        stopping = keras.callbacks.EarlyStopping("val_gauc", mode="max", patience=1)
        history = model.fit(
            dataset(60),
            validation_data=dataset(50),
            epochs=4,
            callbacks=[stopping],
            verbose=0,
        ).history
        figures = model.evaluate(dataset(70), verbose=0, return_dict=True)
        logged.append((history, figures))
        for name, value in expected_figures(model).items():
            assert figures[name] == pytest.approx(value, abs=1e-6), name
    (history, figures), (others, other_figures) = logged
    assert history.keys() == others.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, others[name], rtol=2e-3, err_msg=name)
    for name, value in figures.items():
        assert other_figures[name] == pytest.approx(value, rel=1e-3), name


def test_undefined_metrics_are_nan_with_a_warning(trained):
    one_class = dataset(50, labels=np.zeros_like(LABELS))
    with pytest.warns(UserWarning, match=r"auc, gauc, pcoc: undefined"):
        found = trained.evaluate(one_class, verbose=0, return_dict=True)
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "auc",
        "gauc",
        "pcoc",
    }
    with pytest.warns(UserWarning, match="log_loss"):
        weightless = dataset(50, weights=np.zeros_like(WEIGHTS))
        found = trained.evaluate(weightless, verbose=0, return_dict=True)
    assert all(np.isnan(value) for value in found.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trained.evaluate(dataset(50), verbose=0)


def test_training_goes_on_after_a_batch_without_weight():
    weights = np.where(np.arange(ROWS) < 60, 0, WEIGHTS).astype("float32")
    model = make_model()
    losses = []
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(logs["loss"])
    )
    model.fit(dataset(60, weights=weights), callbacks=[keep], verbose=0)
    assert np.isfinite(losses).all()


@pytest.mark.slow
@pytest.mark.skipif(KERAS_3, reason="Keras 3 refuses several workers")
def test_two_processes_log_what_one_process_logs():
    alone, one, other = (worker.figures() for worker in (Worker(), *two_workers()))
    for figures in (one, other):
        assert figures.keys() == alone.keys()
        for name, values in alone.items():
            np.testing.assert_allclose(figures[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.skipif(not KERAS_3, reason="Keras 2 trains under several workers")
def test_keras_3_refuses_several_workers_by_name(monkeypatch):
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", type(two_replicas())
    )
    with (
        two_replicas().scope(),
        pytest.raises(ValueError, match="MultiWorkerMirroredStrategy on Keras 3"),
    ):
        make_model()
