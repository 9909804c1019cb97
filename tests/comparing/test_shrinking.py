"""The choice of a tau: by the half that chooses, over all heads, from a list with 0."""

import numpy as np
import pytest

from hgr_tf.comparing import shrinking
from hgr_tf.comparing.figures import figures
from hgr_tf.comparing.predicting import predict_heads
from hgr_tf.data import PreparedData
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.config import RunConfig
from hgr_tf.training.shrinkage import count_ids, shrunk, table_of
from tests.prepared import (
    ENCODING,
    TWO_LABELS,
    rows,
    rows_of_two_labels,
    write_prepared,
)

RANKERS = {"": "mlp", "click": "shared_bottom"}


@pytest.fixture(scope="module", params=RANKERS, ids=["one head", "two heads"])
def asked(request, tmp_path_factory):
    """An untrained model with a noisy table of users, and data to ask it of."""
    several = bool(request.param)
    make = rows_of_two_labels if several else rows
    encoding = TWO_LABELS if several else ENCODING
    folder = write_prepared(
        tmp_path_factory.mktemp("data"),
        {"train": make(300, 0), "val": make(400, 1)},
        encoding=encoding,
    )
    data = PreparedData.load(folder)
    config = RunConfig().override(
        ranker={"type": RANKERS[request.param], "embedding_dim": 4}
    )
    model = build_model(config, encoding)
    layer = table_of(model.ranker, encoding, "user")
    noise = np.random.default_rng(0).normal(0, 3, layer.embeddings.shape)
    layer.embeddings.assign(noise.astype(np.float32))
    return model, data, count_ids(data, "train", "user")


def test_the_best_of_the_half_that_chooses_is_taken_and_measured(asked):
    model, data, counts = asked
    layer = table_of(model.ranker, data.encoding, "user")
    before = np.array(layer.embeddings)
    found = shrinking.shrink(model, data, "val", "user", counts, taus=(5, 500))
    np.testing.assert_array_equal(np.array(layer.embeddings), before)
    assert list(found.tried) == [0.0, 5.0, 500.0]
    assert found.tau == min(found.tried, key=found.tried.get) > 0
    assert found.halves == "users" and set(found.before) == set(model.heads)
    layer.embeddings.assign(shrunk(before, counts, found.tau, 2))
    try:
        predicted = predict_heads(model, data, "val", [])
    finally:
        layer.embeddings.assign(before)
    for head in model.heads:
        assert found.after[head]["log_loss"] < found.before[head]["log_loss"]
        whole = figures(predicted[head].predictions)["log_loss"]
        assert found.after[head]["log_loss"] == pytest.approx(whole, abs=0.1)


def test_a_half_without_a_weighted_row_is_named_with_its_head(asked, monkeypatch):
    model, data, counts = asked
    head = model.heads[-1]

    def unweighted(*args):
        found = predict_heads(*args)
        rows = found[head].predictions
        rows = rows._replace(weights=np.zeros_like(rows.weights))
        return {**found, head: found[head]._replace(predictions=rows)}

    monkeypatch.setattr(shrinking, "predict_heads", unweighted)
    named = f" for the head '{head}'" if head else ""
    with pytest.raises(ValueError, match=f"half of 'val' .* with a weight{named}, got"):
        shrinking.shrink(model, data, "val", "user", counts, taus=[5.0])


def test_a_single_tau_is_taken_as_it_is(asked):
    model, data, counts = asked
    for tau in (0.0, 1e-3):
        found = shrinking.shrink(model, data, "val", "user", counts, taus=[tau])
        assert found.tau == tau
    with pytest.raises(ValueError, match="--tau must be numbers of at least 0"):
        shrinking.shrink(model, data, "val", "user", counts, taus=[-1.0])
