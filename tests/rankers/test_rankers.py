import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.functional.graph import layer_of
from hgr_tf.functional.shared_part import SharedPart
from hgr_tf.rankers import dcn_v2_ranker, dlrm_ranker, mlp_ranker
from hgr_tf.rankers.interactions import cross
from tests.prepared import ENCODING, rows, write_prepared

RANKERS = [mlp_ranker, dcn_v2_ranker, dlrm_ranker]
every_ranker = pytest.mark.parametrize("build", RANKERS)
with_and_without_tower = pytest.mark.parametrize("user_tower", [(), (8,)])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_prepared(folder, {"train": rows(6000, 0), "val": rows(1000, 1)})
    return PreparedData.load(folder)


@pytest.fixture(scope="module")
def batch(data):
    features, _ = next(iter(data.dataset("train", 64)))
    features.pop(USER)
    return features


@every_ranker
@with_and_without_tower
def test_logits_are_a_float32_column(build, user_tower, batch):
    ranker = build(ENCODING, embedding_dim=4, user_tower=user_tower)
    logits = ranker(batch)
    assert logits.shape == (64, 1) and logits.dtype == tf.float32


@every_ranker
@with_and_without_tower
def test_model_can_be_cut_at_the_user_embedding(build, user_tower, batch):
    """What the hierarchical model does to feed quantized embeddings."""
    ranker = build(ENCODING, embedding_dim=4, user_tower=user_tower)
    embedding = ranker.get_layer("user_embedding")
    assert embedding.output.shape == (None, 4)
    others = {k: v for k, v in ranker.input.items() if k != "user"}
    upper = tf.keras.Model({**others, "e": embedding.output}, ranker.output)
    again = upper({**{k: batch[k] for k in others}, "e": embedding(batch["user"])})
    np.testing.assert_allclose(again, ranker(batch), atol=1e-6)


@every_ranker
@with_and_without_tower
def test_saved_model_gives_the_same_logits(build, user_tower, batch, tmp_path):
    ranker = build(ENCODING, embedding_dim=4, user_tower=user_tower, dropout=0.1)
    ranker.save(tmp_path / "ranker.keras")
    loaded = tf.keras.models.load_model(tmp_path / "ranker.keras")
    np.testing.assert_allclose(loaded(batch), ranker(batch), atol=1e-6)


@every_ranker
def test_learns(build, data):
    tf.keras.utils.set_random_seed(0)
    ranker = build(ENCODING, embedding_dim=4, hidden_units=(16,))
    ranker.compile(
        tf.keras.optimizers.Adam(0.01),
        tf.keras.losses.BinaryCrossentropy(from_logits=True),
    )

    def without_user(split, **kwargs):
        return data.dataset(split, 100, **kwargs).map(
            lambda x, y: ({k: v for k, v in x.items() if k != USER}, y)
        )

    before = ranker.evaluate(without_user("val"), verbose=0)
    train = without_user("train", shuffle=True, epochs=range(5))
    ranker.fit(train, verbose=0)
    assert ranker.evaluate(without_user("val"), verbose=0) < before - 0.05


@every_ranker
def test_user_tower_depends_on_the_user_alone(build, batch):
    ranker = build(ENCODING, embedding_dim=4, user_tower=(8,))
    tower = tf.keras.Model(ranker.input, ranker.get_layer("user_tower").output)
    other_items = {**batch, "item": batch["item"] + 1, "price": batch["price"] + 1}
    np.testing.assert_array_equal(tower(batch), tower(other_items))
    other_users = {**batch, "age": (batch["age"] + 1) % 4}
    assert (tower(batch).numpy() != tower(other_users).numpy()).any()


@every_ranker
def test_gradient_reaches_every_weight(build, batch):
    ranker = build(ENCODING, embedding_dim=4, user_tower=(8,))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(ranker(batch))
    gradients = tape.gradient(loss, ranker.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_padding_of_a_multivalued_feature_does_not_count(batch):
    ranker = mlp_ranker(ENCODING, embedding_dim=4)
    mean = tf.keras.Model(ranker.input, ranker.get_layer("embedding_tags").output)
    tags = np.zeros([64, 3], np.int64)
    tags[1:] = [2, 0, 0]
    tags[2:] = [2, 3, 0]
    out = mean({**batch, "tags": tf.constant(tags)}).numpy()
    table = ranker.get_layer("embedding_tags").embeddings.numpy()
    np.testing.assert_array_equal(out[0], np.zeros(4))
    np.testing.assert_allclose(out[1], table[2], atol=1e-7)
    np.testing.assert_allclose(out[2], (table[2] + table[3]) / 2, atol=1e-7)


@every_ranker
def test_highest_id_of_every_feature_is_in_range(build, batch):
    top = dict(batch)
    for feature in ENCODING.spec.features():
        if feature.transform.is_categorical:
            highest = ENCODING.num_ids(feature.name) - 1
            top[feature.name] = tf.fill(tf.shape(batch[feature.name]), highest)
            top[feature.name] = tf.cast(top[feature.name], tf.int64)
    assert np.isfinite(build(ENCODING)(top).numpy()).all()


@every_ranker
def test_spec_may_lack_a_feature_of_the_user_id(build):
    spec = FeatureSpec.from_yaml("""
name: no user id feature
user_id: user
item_id: item
label: click
user: {age: {type: bucketized, boundaries: [1]}}
item: {item: {type: hashed, num_buckets: 5}}
""")
    encoding = FeatureEncoding(spec, boundaries={"age": (1.0,)})
    assert set(build(encoding).input) == {"age", "item"}
    ranker = build(encoding, user_tower=(4,))
    assert set(ranker.input) == {"age", "item"}
    assert ranker.get_layer("user_tower").output.shape[-1] == 16


@every_ranker
def test_embedding_dim_must_be_positive(build):
    with pytest.raises(ValueError, match="`embedding_dim` must be at least 1, got 0"):
        build(ENCODING, embedding_dim=0)


def test_cross_layers_must_be_positive():
    with pytest.raises(ValueError, match="`cross_layers` must be at least 1, got 0"):
        dcn_v2_ranker(ENCODING, cross_layers=0)


@pytest.mark.parametrize("projection_dim", [None, 2])
def test_cross_is_that_of_tensorflow_recommenders(projection_dim):
    tfrs = pytest.importorskip("tensorflow_recommenders", exc_type=ImportError)
    base, x = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    inputs = [tf.keras.Input(5), tf.keras.Input(5)]
    model = tf.keras.Model(inputs, cross(*inputs, projection_dim, "cross"))
    reference = tfrs.layers.dcn.Cross(projection_dim)
    reference(base, x)
    reference.set_weights([w + 0.1 for w in reference.get_weights()])
    model.set_weights(reference.get_weights())
    np.testing.assert_allclose(model([base, x]), reference(base, x), rtol=1e-5)


@pytest.mark.parametrize("projection_dim", [None, 2])
def test_passes_of_dcn_v2_share_the_first_layers(projection_dim):
    ranker = dcn_v2_ranker(ENCODING, projection_dim=projection_dim)
    others = {name: x for name, x in ranker.input.items() if name != "user"}
    part = SharedPart(ranker.output, others.values())
    split = {layer_of(each.output).name for each in part._splits}
    first = "cross_1_projection" if projection_dim else "cross_1"
    assert split == {first, "deep_dense_1"}
