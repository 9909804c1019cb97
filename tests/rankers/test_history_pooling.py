"""Histories as vectors of a ranker: each list by itself, or whole events."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.features import FeatureEncoding, FeatureSpec
from hgr_tf.rankers import dcn_v2_ranker, dlrm_ranker, mlp_ranker
from hgr_tf.training.build_and_evaluate import build_model
from hgr_tf.training.config import RunConfig

SPEC = """
name: watched
user_id: user
item_id: item
label: click
time: at
user: {user: {type: categorical, dtype: int64}}
item:
  item: {type: categorical, dtype: int64}
  tags: {type: multi_categorical, max_length: 3}
  price: {type: numeric}
history:
  watched: {of: item, with: [tags], where: {label: 1}, length: 4}
"""
ITEMS, TAGS = 20, 6
ENCODING = FeatureEncoding(
    spec=FeatureSpec.from_yaml(SPEC),
    vocabularies={
        "user": tuple(map(str, range(10))),
        "item": tuple(map(str, range(ITEMS))),
        "tags": tuple(f"tag{t}" for t in range(TAGS)),
    },
    moments={"price": (0.0, 1.0)},
)
POOLINGS = ["mean", "attention", "transformer"]
every_pooling = pytest.mark.parametrize("pooling", POOLINGS)


def batch(rows: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = {
        "user": rng.integers(0, 12, rows),
        "item": rng.integers(2, ITEMS + 2, rows),
        "tags": rng.integers(0, TAGS + 2, (rows, 3)),
        "price": rng.normal(size=rows).astype(np.float32),
        "watched_item": rng.integers(2, ITEMS + 2, (rows, 4)),
        "watched_tags": rng.integers(0, TAGS + 2, (rows, 12)),
    }
    for row, events in enumerate(rng.integers(0, 5, rows)):  # padding at the end
        inputs["watched_item"][row, events:] = 0
        inputs["watched_tags"][row, 3 * events :] = 0
    return inputs


def tensors(inputs):
    return {name: tf.constant(value) for name, value in inputs.items()}


def output_of(ranker, layer: str, inputs) -> np.ndarray:
    cut = tf.keras.Model(ranker.input, ranker.get_layer(layer).output)
    return cut(tensors(inputs)).numpy()


@pytest.mark.parametrize(
    ("make", "pooling", "user_tower"),
    [
        (mlp_ranker, "attention", ()),
        (dcn_v2_ranker, "transformer", (8,)),
        (dlrm_ranker, "attention", (8,)),
        (dlrm_ranker, "transformer", ()),
    ],
)
def test_every_ranker_pools_events_and_is_saved(make, pooling, user_tower, tmp_path):
    ranker = make(
        ENCODING,
        embedding_dim=4,
        user_tower=user_tower,
        history={"pooling": pooling},
    )
    inputs = tensors(batch())
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(ranker(inputs) ** 2)
    gradients = tape.gradient(loss, ranker.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    ranker.save(tmp_path / "ranker.keras")
    loaded = tf.keras.models.load_model(tmp_path / "ranker.keras")
    np.testing.assert_allclose(loaded(inputs), ranker(inputs), atol=1e-6)


@every_pooling
def test_what_lies_in_the_padding_is_not_seen(pooling):
    """An id at a place without an event would be a fault of the reader; tags are."""
    ranker = mlp_ranker(ENCODING, embedding_dim=4, history={"pooling": pooling})
    inputs = batch()
    inputs["watched_item"][:, 2:] = 0
    inputs["watched_tags"][:, 6:] = 0
    score = ranker(tensors(inputs)).numpy()
    if pooling == "mean":  # each list by itself
        return
    inputs["watched_tags"][:, 6:] = 3
    np.testing.assert_allclose(ranker(tensors(inputs)), score, atol=1e-6)


def test_attention_is_that_of_whole_events():
    ranker = mlp_ranker(
        ENCODING,
        embedding_dim=4,
        history={"pooling": "attention", "hidden_units": ()},
    )
    inputs = batch()
    found = output_of(ranker, "attention_watched", inputs)
    items = ranker.get_layer("embedding_item").embeddings.numpy()
    tags = ranker.get_layer("embedding_tags").embeddings.numpy()

    def event(item, its_tags):
        present = its_tags[its_tags != 0]
        mean = tags[present].mean(axis=0) if len(present) else np.zeros(4)
        return np.concatenate([items[item], mean])

    for row in range(16):
        target = event(inputs["item"][row], inputs["tags"][row])
        places = np.flatnonzero(inputs["watched_item"][row])
        events = [
            event(
                inputs["watched_item"][row, place],
                inputs["watched_tags"][row, 3 * place : 3 * place + 3],
            )
            for place in places
        ]
        wanted = np.zeros(8)
        if events:
            scores = np.array([target @ e for e in events]) / np.sqrt(8)
            weights = np.exp(scores) / np.exp(scores).sum()
            wanted = weights @ np.array(events)
        np.testing.assert_allclose(found[row], wanted, atol=1e-6)


@every_pooling
def test_the_tower_sees_what_the_user_did_and_not_the_item(pooling):
    ranker = mlp_ranker(
        ENCODING, embedding_dim=4, user_tower=(8,), history={"pooling": pooling}
    )
    inputs = batch()
    seen = output_of(ranker, "user_tower", inputs)
    other_item = {**inputs, "item": inputs["item"][::-1].copy()}
    np.testing.assert_array_equal(output_of(ranker, "user_tower", other_item), seen)
    other_past = {**inputs, "watched_item": batch(seed=1)["watched_item"]}
    assert (output_of(ranker, "user_tower", other_past) != seen).any()
    if pooling == "attention":
        other_score = ranker(tensors(other_item)).numpy()
        assert (ranker(tensors(inputs)).numpy() != other_score).any()


@pytest.mark.parametrize(
    ("ranker", "layer"),
    [
        ("{user_tower: [8]}", "user_tower"),
        ("{user_tower: [8], history: {pooling: transformer}}", "user_tower"),
        ("{}", "user_embedding"),
    ],
)
def test_what_is_quantized_is_made_of_the_history_where_it_can_be(ranker, layer):
    config = RunConfig.from_yaml(f"{{ranker: {ranker}, method: default}}")
    model = build_model(config, ENCODING)
    assert model.user_embedding == layer
    assert config.for_spec(ENCODING.spec).method.user_embedding == layer


def test_a_given_user_embedding_stays():
    config = RunConfig.from_yaml(
        "{ranker: {user_tower: [8]}, method: {user_embedding: user_embedding}}"
    )
    assert config.for_spec(ENCODING.spec) is config


def test_options_of_a_list_are_refused_where_events_are_pooled_whole():
    with pytest.raises(ValueError, match="must not name 'watched_item'"):
        mlp_ranker(
            ENCODING,
            features={"watched_item": {"pooling": "sum"}},
            history={"pooling": "attention"},
        )


def test_a_history_of_lists_has_no_whole_events():
    spec = SPEC.replace("of: item, with: [tags]", "of: tags")
    encoding = FeatureEncoding(
        FeatureSpec.from_yaml(spec), ENCODING.vocabularies, moments=ENCODING.moments
    )
    with pytest.raises(ValueError, match="history 'watched' is of 'tags'"):
        mlp_ranker(encoding, history={"pooling": "transformer"})


def test_the_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple of `num_heads`"):
        mlp_ranker(
            ENCODING,
            embedding_dim=4,
            history={"pooling": "transformer", "num_heads": 3},
        )


def test_one_list_attends_to_the_item_that_it_shares_ids_with():
    options = {"watched_item": {"pooling": "attention", "dropout": 0.1}}
    ranker = mlp_ranker(ENCODING, embedding_dim=4, user_tower=(8,), features=options)
    inputs = batch()
    layer = ranker.get_layer("attention_watched_item")
    table = ranker.get_layer("embedding_item")
    ids = tf.constant(inputs["watched_item"])
    expected = layer(table(tf.constant(inputs["item"])), table(ids), ids)
    found = output_of(ranker, "attention_watched_item", inputs)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    seen = output_of(ranker, "user_tower", inputs)
    other_past = {**inputs, "watched_item": batch(seed=1)["watched_item"]}
    np.testing.assert_array_equal(output_of(ranker, "user_tower", other_past), seen)


@pytest.mark.parametrize("name", ["tags", "item"])
def test_a_feature_with_ids_of_its_own_has_nothing_to_attend_to(name):
    with pytest.raises(ValueError, match=f"{name!r} must not be 'attention'"):
        mlp_ranker(ENCODING, features={name: {"pooling": "attention"}})


def test_a_ranker_goes_without_features_and_histories():
    ranker = mlp_ranker(
        ENCODING, embedding_dim=4, user_tower=(8,), without=["user", "tags"]
    )
    assert set(ranker.input) == {"item", "price", "watched_item", "watched_tags"}
    assert set(mlp_ranker(ENCODING, without=["watched"]).input) == {
        "user",
        "item",
        "tags",
        "price",
    }


def test_what_is_left_out_may_be_part_of_a_pooled_history():
    ranker = mlp_ranker(
        ENCODING,
        embedding_dim=4,
        history={"pooling": "attention"},
        without=["tags", "watched_tags"],
    )
    assert set(ranker.input) == {"user", "item", "price", "watched_item"}


@pytest.mark.parametrize(
    ("pooling", "without", "error"),
    [
        ("mean", ["wached"], r"histories or counters.*\['wached'\]"),
        ("mean", ["user", "item", "tags", "price", "watched"], "got all of them"),
        ("attention", ["watched_item"], "leave out 'watched'"),
        ("attention", ["tags"], "leave out 'watched_tags' too"),
    ],
)
def test_what_cannot_be_left_out_is_named(pooling, without, error):
    with pytest.raises(ValueError, match=error):
        mlp_ranker(ENCODING, history={"pooling": pooling}, without=without)


def test_groups_of_users_need_their_id_or_a_tower():
    config = RunConfig.from_yaml("ranker: {without: [user]}\nmethod: default")
    with pytest.raises(ValueError, match="must name a layer of the ranker"):
        build_model(config, ENCODING)


def test_the_tower_groups_users_where_their_id_is_left_out():
    config = RunConfig.from_yaml(
        "ranker: {type: mlp, user_tower: [8], without: [user]}\nmethod: default"
    )
    spec = FeatureSpec.from_yaml(SPEC)
    assert config.for_spec(spec).method.user_embedding == "user_tower"
