"""Models of specs with several labels, as a run's config builds them."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.data.manifest import LabelCounts, Split
from hgr_tf.layers import UncertaintyWeighting
from hgr_tf.metrics import AreaUnderCurve
from hgr_tf.training import RunConfig
from hgr_tf.training.build_and_evaluate import build_model, check_positives
from hgr_tf.training.checkpoints import Checkpoints
from tests.prepared import ENCODING, TWO_LABELS


def build(text, encoding=TWO_LABELS, ranker="shared_bottom"):
    layers = f"ranker: {{type: {ranker}, embedding_dim: 4, hidden_units: [8]}}\n"
    return build_model(RunConfig.from_yaml(layers + text), encoding)


def test_heads_have_their_losses_and_share_the_codes():
    model = build("""
method:
  preset: default
  heads:
    click: {weight: 2.0, lists: user}
    purchase: {ranking_loss: jrc, level_weights: 0.1}
""")
    assert model.heads == ("click", "purchase")
    assert model.evaluation_weights() == {"click": 2.0, "purchase": 1.0}
    losses = model.objective.ranking_losses
    assert losses["click"].over == "user"
    assert (losses["purchase"].listwise, losses["purchase"].num_levels) == ("jrc", 3)
    assert model.quantizer.num_levels == 3
    assert dict(model.given) == {"purchase": "click"}


def test_a_head_without_ranking_loss_has_none():
    model = build(
        "method: {ranking_loss: jrc, heads: {purchase: {ranking_loss: none}}}"
    )
    assert list(model.objective.ranking_losses) == ["click"]


def test_users_are_quantized_where_a_head_needs_codes():
    method = "method: {{ranking_loss: jrc, heads: {{{}}}}}".format
    batch = ["click: {lists: batch}", "purchase: {lists: batch}"]
    assert build(method(batch[0])).quantizer is not None
    assert build(method(", ".join(batch))).quantizer is None


@pytest.mark.parametrize(
    ("ranker", "heads", "given"),
    [
        ("shared_bottom", "{}", {"purchase": "click"}),
        ("shared_bottom", "{purchase: {entire_space: true}}", {}),
        ("esmm", "{}", {}),
        ("esmm", "{purchase: {entire_space: false}}", {"purchase": "click"}),
    ],
)
def test_esmm_is_trained_over_all_rows(ranker, heads, given):
    model = build(f"method: {{heads: {heads}}}", ranker=ranker)
    assert dict(model.given) == given


def test_weights_are_learned_on_demand():
    model = build("method: {head_weights: uncertainty}")
    weighting = model.objective.head_weights
    assert isinstance(weighting, UncertaintyWeighting) and weighting.num_losses == 2


@pytest.mark.parametrize(
    ("text", "ranker", "encoding", "message"),
    [
        (
            "seed: 1",
            "mlp",
            TWO_LABELS,
            r"outputs \['click', 'purchase'\].*shared_bottom",
        ),
        ("seed: 1", "mmoe", ENCODING, "needs the spec's `labels`"),
        (
            "method: {heads: {buy: {weight: 2}}}",
            "mmoe",
            TWO_LABELS,
            r"`method.heads` must name labels .*'purchase'\], got \['buy'\]",
        ),
        (
            "method: {heads: {click: {weight: 2}}}",
            "mlp",
            ENCODING,
            r"`method.heads` must name labels of the spec's `labels`, \[\], got",
        ),
    ],
)
def test_what_does_not_go_with_the_labels_is_told(text, ranker, encoding, message):
    with pytest.raises(ValueError, match=message):
        build(text, encoding, ranker)


def test_a_label_that_is_nowhere_positive_trains_no_head(caplog):
    labels = {
        "click": LabelCounts(rows=9, positives=3),
        "purchase": LabelCounts(rows=3, positives=0),
    }
    split = Split(rows=9, positives=3, shards=[], labels=labels)
    data = SimpleNamespace(manifest=SimpleNamespace(splits={"train": split}))
    with pytest.raises(ValueError, match=r"`labels.purchase` must .* none of 3 rows"):
        check_positives(data, "train")
    check_positives(data, "train", goes_on=True)
    assert "none of 3 rows" in caplog.text


def test_the_metric_to_stop_by_is_the_first_heads_unless_one_is_named():
    for metric, filled in (("auc", "click/auc"), ("purchase/auc", "purchase/auc")):
        text = f"training: {{early_stopping: {{metric: {metric}}}}}"
        config = RunConfig.from_yaml(text).for_spec(TWO_LABELS.spec)
        assert config.training.early_stopping.metric == filled
        assert config.for_spec(ENCODING.spec) == config


def test_an_interrupted_epoch_goes_on_with_the_means_of_every_head(tmp_path):
    model, metrics = build("seed: 1"), [AreaUnderCurve(10)]
    model.compile("sgd", metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    means = {metric.name: metric.variables for metric in model.metrics}
    assert {f"{h}/{n}" for h in model.heads for n in ("auc", "log_loss")} <= set(means)
    for variables in means.values():
        for variable in variables:
            variable.assign(tf.ones(variable.shape))
    checkpoints = Checkpoints(tmp_path, model, metrics)
    checkpoints.save(3)
    model.reset_metrics()
    assert checkpoints.restore() == 3
    checkpoints.restore_means()
    for variables in means.values():
        for variable in variables:
            np.testing.assert_array_equal(variable, tf.ones(variable.shape))
