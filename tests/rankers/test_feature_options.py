"""Width, penalty, dropout and pooling of single features."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.features.embedding_options import EmbeddingOptions
from hgr_tf.rankers import dcn_v2_ranker, dlrm_ranker, mlp_ranker
from hgr_tf.training.config import RunConfig
from tests.prepared import ENCODING


def batch(rows=64):
    rng = np.random.default_rng(0)
    return {
        name: tf.constant(
            rng.integers(0, 3, (rows, *form.shape)).astype(form.dtype), form.dtype
        )
        for name, form in ENCODING.spec.inputs().items()
    }


@pytest.mark.parametrize("make", [mlp_ranker, dcn_v2_ranker, dlrm_ranker])
def test_a_feature_has_a_width_of_its_own(make):
    options = {"tags": EmbeddingOptions(dim=3, pooling="sum", l2=0.1)}
    ranker = make(ENCODING, embedding_dim=4, features=options)
    assert ranker.get_layer("embedding_tags").embeddings.shape[1] == 3
    assert ranker.get_layer("embedding_item").embeddings.shape[1] == 4
    assert ranker.get_layer("sum_tags").mode == "sum"
    assert ranker(batch()).shape == (64, 1)


def test_dropout_hides_whole_embeddings_in_training_alone():
    options = {"user": EmbeddingOptions(dropout=0.5)}
    ranker = mlp_ranker(ENCODING, features=options)
    seen = tf.keras.Model(ranker.inputs, ranker.get_layer("dropout_user").output)
    plain = tf.keras.Model(ranker.inputs, ranker.get_layer("user_embedding").output)
    inputs = [batch()[i.name.split(":")[0]] for i in ranker.inputs]
    clean = plain(inputs).numpy()
    np.testing.assert_array_equal(seen(inputs, training=False), clean)
    dropped = seen(inputs, training=True).numpy()
    hidden = ~dropped.any(axis=1)
    assert 10 < hidden.sum() < 54
    np.testing.assert_allclose(dropped[~hidden], 2 * clean[~hidden], rtol=1e-6)


def test_the_penalty_is_of_the_rows_looked_up():
    ranker = mlp_ranker(ENCODING, features={"user": {"l2": 0.5}})
    inputs = batch()
    ranker(inputs)
    table = ranker.get_layer("user_embedding").embeddings.numpy()
    rows = table[np.unique(inputs["user"])]
    assert float(sum(ranker.losses)) == pytest.approx(0.5 * np.sum(rows**2), rel=1e-5)


@pytest.mark.parametrize(
    ("features", "message"),
    [({"usr": {}}, "got 'usr'"), ({"price": {"dim": 2}}, "'price' has no ids")],
)
def test_an_option_without_a_feature_is_refused(features, message):
    with pytest.raises(ValueError, match=message):
        mlp_ranker(ENCODING, features=features)


def test_a_config_reaches_the_options():
    config = RunConfig.from_yaml(
        "ranker: {type: mlp, features: {user: {dropout: 0.5, dim: 6, l2: 1.0e-6}}}"
    )
    assert RunConfig.from_yaml(config.to_yaml()) == config
    ranker = config.ranker.build(ENCODING)
    assert ranker.get_layer("user_embedding").embeddings.shape[1] == 6
