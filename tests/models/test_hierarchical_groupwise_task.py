import sys

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.losses import HierarchicalGroupwiseLoss
from hgr_tf.metrics import GroupAUC, PredictedOverObserved, group_auc

tfrs = pytest.importorskip("tensorflow_recommenders", exc_type=ImportError)

USERS, ITEMS, ROWS = 40, 30, 4000


@pytest.fixture(scope="module")
def clicks():
    """Users of four tastes and items of four kinds."""
    random = np.random.default_rng(3)
    user = random.integers(0, USERS, ROWS)
    item = random.integers(0, ITEMS, ROWS)
    rate = np.where(user % 4 == item % 4, 0.9, 0.2)
    click = (random.random(ROWS) < rate).astype("float32")
    return {"user": user, "item": item, "click": click}


def make_task(**loss_arguments):
    from hgr_tf.models import HierarchicalGroupwiseTask

    return HierarchicalGroupwiseTask(
        ResidualVectorQuantizer(2, 4, start_step=5, start_buffer=512),
        HierarchicalGroupwiseLoss(2, **loss_arguments),
        ranking_metrics=[GroupAUC(), PredictedOverObserved()],
    )


class Ranker(tfrs.Model):
    def __init__(self, task):
        super().__init__()
        self.user = tf.keras.layers.Embedding(USERS, 8)
        self.item = tf.keras.layers.Embedding(ITEMS, 8)
        self.task = task

    def call(self, inputs):
        users, items = self.user(inputs["user"]), self.item(inputs["item"])
        return tf.reduce_sum(users * items, axis=1)

    def compute_loss(self, inputs, training=False):
        return self.task(
            inputs["click"],
            self(inputs),
            self.user(inputs["user"]),
            user_ids=inputs["user"],
            training=training,
            compute_metrics=not training,
        )


def test_tfrs_model_learns_codes_and_ranking(clicks):
    tf.keras.utils.set_random_seed(0)
    model = Ranker(make_task())
    model.compile(tf.keras.optimizers.Adam(0.02))
    batches = tf.data.Dataset.from_tensor_slices(clicks).batch(400)
    before = model.evaluate(batches, return_dict=True, verbose=0)
    assert not model.task.quantizer.started
    model.fit(batches, epochs=8, verbose=0)
    after = model.evaluate(batches, return_dict=True, verbose=0)
    assert model.task.quantizer.started
    assert after["gauc"] > before["gauc"] + 0.2
    logits = model(clicks)
    assert after["gauc"] == np.float32(
        group_auc(clicks["click"], tf.sigmoid(logits), clicks["user"])
    )


def random_call():
    random = np.random.default_rng(0)
    labels = (random.random(32) < 0.5).astype("float32")
    logits = random.normal(size=32).astype("float32")
    return labels, logits, random.normal(size=(32, 8)).astype("float32")


def test_loss_is_log_loss_until_the_codes_start_then_adds_the_ranking_loss():
    task = make_task()
    labels, logits, embeddings = random_call()
    log_loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)
    for _ in range(4):
        loss = task(labels, logits, embeddings, user_ids=[1] * 32, training=True)
        assert float(loss) == pytest.approx(float(log_loss), rel=1e-6)
    loss = task(labels, logits, embeddings, user_ids=[1] * 32, training=True)
    codes = task.quantizer.encode(embeddings)
    ranking = task.ranking_loss(labels, logits, codes)
    assert float(ranking) > 0
    loss = task(labels, logits, embeddings, user_ids=[1] * 32, training=False)
    assert float(loss) == pytest.approx(float(log_loss + ranking), rel=1e-5)


def test_sample_weight_reaches_every_term():
    task = make_task()
    labels, logits, embeddings = random_call()
    users = [1] * 32
    task.quantizer.fit(embeddings)
    weight = np.zeros(32, "float32")
    loss = task(
        labels,
        logits,
        embeddings,
        sample_weight=weight,
        user_ids=users,
        training=False,
    )
    assert float(loss) == 0
    assert np.isnan(task.ranking_metrics[0].result())


def test_user_level_gets_the_user_ids():
    task = make_task(user_level=True)
    labels, logits, embeddings = random_call()
    task.quantizer.fit(embeddings)
    loss = task(labels, logits, embeddings, user_ids=[1] * 32, training=False)
    assert np.isfinite(float(loss))


def test_evaluation_leaves_the_codebooks_alone():
    task = make_task()
    labels, logits, embeddings = random_call()
    task(labels, logits, embeddings, user_ids=[1] * 32, training=True)
    before = task.get_weights()
    task(labels, logits, 2 * embeddings, user_ids=[1] * 32, training=False)
    for old, new in zip(before, task.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_metrics_are_left_alone_without_compute_metrics():
    task = make_task()
    task(*random_call(), training=True, compute_metrics=False)
    assert np.isnan(task.ranking_metrics[1].result())


def test_parts_that_do_not_fit_are_named():
    from hgr_tf.models import HierarchicalGroupwiseTask

    quantizer = ResidualVectorQuantizer(2, 4)
    with pytest.raises(ValueError, match="quantizer's 2 levels, got num_levels=3"):
        HierarchicalGroupwiseTask(quantizer, HierarchicalGroupwiseLoss(3))
    with pytest.raises(ValueError, match=r"`ranking_loss` must be .*'list_ce'"):
        HierarchicalGroupwiseTask(quantizer, "list_ce")


def test_training_must_be_said():
    with pytest.raises(ValueError, match="`training` must be given"):
        make_task()(*random_call(), user_ids=[1] * 32)


def test_config_makes_the_same_task():
    task = make_task(listwise="softmax_ce")
    again = type(task).from_config(task.get_config())
    assert again.get_config() == task.get_config()
    assert again.ranking_loss.listwise == "softmax_ce"
    assert [metric.name for metric in again.ranking_metrics] == ["gauc", "pcoc"]


def test_missing_tfrs_gives_an_install_hint(monkeypatch):
    import hgr_tf.models

    monkeypatch.setitem(sys.modules, "tensorflow_recommenders", None)
    monkeypatch.delitem(
        sys.modules, "hgr_tf.models.hierarchical_groupwise_task", raising=False
    )
    # Not delattr: it looks the name up first, which loads the module.
    monkeypatch.delitem(vars(hgr_tf.models), "HierarchicalGroupwiseTask", raising=False)
    with pytest.raises(ImportError, match="pip install tensorflow-recommenders"):
        hgr_tf.models.HierarchicalGroupwiseTask  # noqa: B018
