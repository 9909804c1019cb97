"""Models of TensorFlow Recommenders export their ranker, not their task."""

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf import export
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.runtime.session import ServingSession
from tests.export.models import ENCODING, NAMES, encode, small_ranker, trained_scores

tfrs = pytest.importorskip("tensorflow_recommenders", exc_type=ImportError)


class Recommender(tfrs.Model):
    def __init__(self, ranker):
        super().__init__()
        self.ranker = ranker
        embedding = ranker.get_layer("user_embedding").output
        self.halves = tf.keras.Model(ranker.input, [ranker.output, embedding])
        self.task = hgr_tf.models.HierarchicalGroupwiseTask(
            hgr_tf.layers.ResidualVectorQuantizer(2, 4),
            hgr_tf.losses.HierarchicalGroupwiseLoss(2),
        )

    def compute_loss(self, inputs, training=False):
        features, labels = inputs
        logits, users = self.halves(features, training=training)
        return self.task(labels, logits, users, training=training)


def test_a_tfrs_model_exports_its_ranker_alone(tmp_path):
    model = Recommender(small_ranker())
    model.compile("adam", run_eagerly=True)
    features = encode(SampleRequests(ENCODING, NAMES).raw(64))
    labels = np.random.default_rng(0).integers(0, 2, 64).astype(np.float32)
    model.fit(features, labels, batch_size=32, verbose=0)
    # Every export is verified; the task's codebooks would not pass.
    folder = export.export_for_serving(
        model, tmp_path, encoding=ENCODING, signatures=["serving_default"], warmup=0
    )
    raw = SampleRequests(ENCODING, NAMES, seed=1).raw(20)
    scores = ServingSession(folder).call("serving_default", raw)["probabilities"]
    np.testing.assert_allclose(scores, trained_scores(model, raw), atol=1e-6)


def test_a_model_that_hides_its_ranker_is_told_so(tmp_path):
    class Hidden(tfrs.Model):
        def __init__(self, scorer):
            super().__init__()
            self.scorer = scorer

        def call(self, features):
            return self.scorer(features)

    with pytest.raises(ValueError, match="must hold a functional ranker as `ranker`"):
        export.export_for_serving(
            Hidden(small_ranker()),
            tmp_path,
            encoding=ENCODING,
            signatures=["serving_default"],
        )
    assert not list(tmp_path.iterdir())
