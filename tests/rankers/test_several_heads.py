"""Rankers with a head for each label of the spec."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.features import FeatureSpec
from hgr_tf.models.heads import heads_of
from hgr_tf.models.ranker_halves import RankerHalves
from hgr_tf.rankers import (
    esmm_ranker,
    mlp_ranker,
    mmoe_ranker,
    ple_ranker,
    shared_bottom_ranker,
)
from tests.conformance.cases import FEATURES
from tests.prepared import ENCODING, TWO_LABELS

RANKERS = [shared_bottom_ranker, mmoe_ranker, ple_ranker, esmm_ranker]
every_ranker = pytest.mark.parametrize("build", RANKERS)
BATCH = {name: tf.constant(values) for name, values in FEATURES.items()}


def build_small(build, encoding=TWO_LABELS, **arguments):
    return build(encoding, embedding_dim=4, hidden_units=(8, 4), **arguments)


def of_labels(labels):
    """The encoding with these labels."""
    fields = TWO_LABELS.spec.model_dump(mode="json", exclude={"labels"})
    spec = FeatureSpec.model_validate({**fields, "labels": labels})
    return type(ENCODING)(
        spec, ENCODING.vocabularies, ENCODING.boundaries, ENCODING.moments
    )


@every_ranker
def test_every_head_learns_from_every_layer(build):
    ranker = build_small(build, user_tower=(8,))
    assert heads_of(ranker) == ("click", "purchase")
    with tf.GradientTape() as tape:
        outputs = ranker(BATCH)
        loss = tf.add_n([tf.reduce_sum(logits) for logits in outputs.values()])
    for logits in outputs.values():
        assert logits.shape == (16, 1) and logits.dtype == tf.float32
    gradients = tape.gradient(loss, ranker.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


@every_ranker
def test_model_can_be_cut_at_the_user_embedding(build):
    ranker = build_small(build)
    halves = RankerHalves(ranker, "user_embedding")
    users = halves.embed_users(BATCH)
    assert users.shape == (16, 4)
    expected = ranker(BATCH)
    for found in halves.rank_each(BATCH, [users, users]):
        for head, logits in expected.items():
            np.testing.assert_allclose(found[head], logits, atol=1e-5)


def test_a_purchase_of_esmm_is_a_click_and_a_purchase_given_it():
    ranker = build_small(esmm_ranker)
    conditional = ranker.get_layer("purchase.logits").output
    outputs = {**ranker.output, "conditional": conditional}
    outputs = tf.keras.Model(ranker.input, outputs)(BATCH)
    p = {name: 1 / (1 + np.exp(-logits)) for name, logits in outputs.items()}
    expected = p["click"] * p["conditional"]
    np.testing.assert_allclose(p["purchase"], expected, rtol=1e-5)


@every_ranker
@pytest.mark.parametrize("head", ["shared", "bottom"])
def test_heads_may_have_the_names_of_other_layers(build, head):
    labels = {"click": "click", head: {"column": "buy", "given": "click"}}
    ranker = build_small(build, encoding=of_labels(labels), user_tower=(8,))
    assert heads_of(ranker) == ("click", head)


def test_heads_of_esmm_chain():
    labels = {
        "click": "click",
        "cart": {"column": "cart", "given": "click"},
        "purchase": {"column": "buy", "given": "cart"},
    }
    click, cart, purchase = esmm_ranker(of_labels(labels))(BATCH).values()
    assert (cart < click).numpy().all() and (purchase < cart).numpy().all()


def test_esmm_needs_a_label_that_is_given_another():
    encoding = of_labels({"click": "click", "like": "like"})
    with pytest.raises(ValueError, match=r"`given` another.*got \['click', 'like'\]"):
        esmm_ranker(encoding)


def test_ple_needs_a_layer():
    with pytest.raises(ValueError, match="`hidden_units` must be at least one of ple"):
        ple_ranker(TWO_LABELS, hidden_units=())


@every_ranker
def test_a_spec_with_one_label_is_refused(build):
    with pytest.raises(ValueError, match=r"needs the spec's `labels`.*`label: click`"):
        build(ENCODING)


def test_rankers_with_one_output_take_no_notice_of_labels():
    assert heads_of(mlp_ranker(TWO_LABELS)) == ("",)
