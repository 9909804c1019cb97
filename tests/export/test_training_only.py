"""Side towers stay behind: what is served is what was evaluated, without them."""

import json

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.export import export_for_serving
from hgr_tf.export.checking.saved_graph import SavedGraph
from hgr_tf.export.checking.verification import verify
from hgr_tf.export.inputs.log_rows import read_rows
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.options import ExportOptions, load_spec
from hgr_tf.export.ranker import ranker_of
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.writer import write
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.rankers import mlp_ranker
from hgr_tf.rankers.side_towers import with_side_towers

TEXT = """
name: page
user_id: user
item_id: item
label: click
format: {type: csv, header: false, columns: [user, item, click, position, slot]}
user: {user: {type: categorical, dtype: int64}}
item: {item: {type: categorical}}
context:
  position: {type: categorical, dtype: int64}
  slot: {type: hashed, num_buckets: 5}
training_only: {position: 1, slot: null}
"""
ENCODING = FeatureEncoding(
    FeatureSpec.from_yaml(TEXT),
    vocabularies={
        "user": tuple(str(n) for n in range(40)),
        "item": tuple(f"item-{n}" for n in range(30)),
        "position": tuple(str(n) for n in (2, 1, 3, 4)),
    },
)
ROWS = 64


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "user": rng.integers(42, size=ROWS),
        "item": rng.integers(32, size=ROWS),
        "position": rng.integers(1, 6, size=ROWS),
        "slot": rng.integers(6, size=ROWS),
    }


def two_heads(ranker):
    more = tf.keras.layers.Dense(1, name="more")(ranker.layers[-2].output)
    return tf.keras.Model(ranker.input, {"view": ranker.output, "buy": more})


def plain():
    """A ranker of the other features."""
    spec = ENCODING.spec.model_copy(update={"training_only": {}, "context": {}})
    return small_ranker(FeatureEncoding(spec, ENCODING.vocabularies))


def small_ranker(encoding=ENCODING):
    tf.keras.utils.set_random_seed(3)
    ranker = mlp_ranker(encoding, embedding_dim=4, hidden_units=(8,))
    for weight in ranker.weights:
        weight.assign(weight + tf.random.normal(weight.shape, stddev=0.3))
    return ranker


@pytest.fixture(scope="module")
def model():
    """A wrapped ranker with side towers, after a step."""
    wrapped = hgr_tf.HierarchicalGroupwiseRanker(small_ranker())
    wrapped.compile("adam", run_eagerly=True)
    features = inputs() | {USER: np.arange(ROWS)}
    labels = np.arange(ROWS, dtype=np.float32) % 2
    wrapped.fit(features, labels, batch_size=ROWS, verbose=0)
    return wrapped


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("models")
    return export_for_serving(model, base_path, encoding=ENCODING, warmup=4)


def requests():
    return SampleRequests(ENCODING, ["user", "item"]).raw(ROWS)


def test_towers_count_in_training_alone(model):
    rows = {name: tf.constant(values) for name, values in inputs().items()}
    moved = {**rows, "position": 5 - rows["position"], "slot": 5 - rows["slot"]}
    evaluated = model.ranker(rows, training=False)
    np.testing.assert_array_equal(model.ranker(moved, training=False), evaluated)
    trained = model.ranker(rows, training=True)
    assert np.abs(model.ranker(moved, training=True) - trained).max() > 0.01
    assert np.abs(evaluated - trained).max() > 0.01


def test_what_is_served_is_what_was_evaluated(model, exported):
    users, items = np.arange(30), np.arange(30)
    raw = {"user": users, "item": np.array([f"item-{n}" for n in items], object)}
    found = ServingSession(exported).call("serving_default", raw)["probabilities"]
    rows = {"user": users + 2, "item": items + 2}
    rows |= {"position": users % 5, "slot": users % 6}
    rows = {name: tf.constant(values) for name, values in rows.items()}
    evaluated = tf.sigmoid(model.ranker(rows, training=False))[:, 0]
    np.testing.assert_allclose(found, evaluated, rtol=1e-5, atol=1e-6)


def test_the_export_holds_nothing_of_them(model, exported):
    report = verify(exported, model, ENCODING)
    assert report.ok and {"inputs", "values", "names", "twin"} <= set(report.passed)
    session = ServingSession(exported)
    for name in ("serving_default", "rank"):
        assert set(session.signatures[name].inputs) == {"user", "item"}
    text = (exported / "saved_model.pb").read_bytes()
    assert b"side_tower" not in text and b"position" not in text
    shapes = SavedGraph(exported).variable_shapes()
    assert sum(shapes.values()) == len(ranker_of(model).weights)
    request = json.loads((exported / "assets.extra/request.json").read_text())
    assert set(request["instances"][0]) == {"user", "item"}


def test_a_side_tower_that_is_saved_is_found(model, tmp_path):
    everywhere = FeatureEncoding(
        FeatureSpec.from_yaml(TEXT.partition("training_only")[0]),
        ENCODING.vocabularies,
    )
    options = ExportOptions(("serving_default", "examples"))
    write(model.ranker, tmp_path / "leak", everywhere, options)
    report = verify(tmp_path / "leak", model, ENCODING)
    found = {leak.check for leak in report.leaks}
    assert {"inputs", "names", "values", "twin"} <= found
    assert "takes 'position', which only training knows" in str(report)


def test_requests_that_still_send_them_are_answered_as_with_unknown_features(exported):
    session = ServingSession(exported)
    with pytest.raises(ValueError, match=r"must be \['item', 'user'\], got .*position"):
        session.call("serving_default", requests() | {"position": np.arange(ROWS)})
    example = tf.train.Example()
    example.features.feature["user"].int64_list.value.append(3)
    alone = session.call("examples", {"inputs": [example.SerializeToString()]})
    example.features.feature["position"].int64_list.value.append(4)
    more = session.call("examples", {"inputs": [example.SerializeToString()]})
    np.testing.assert_array_equal(more["probabilities"], alone["probabilities"])


def test_rows_of_a_file_may_lack_their_columns(exported, tmp_path):
    spec = load_spec(exported)
    assert spec.training_only == {"position": 1, "slot": None}
    for row in ("3,item-4,1,2,top", "3,item-4"):
        path = tmp_path / "rows.csv"
        path.write_text(f"{row}\n")
        ((rows),) = read_rows(path, spec)
        assert {k: v.tolist() for k, v in rows.inputs.items()} == {
            "user": [3],
            "item": ["item-4"],
        }


def test_every_head_has_a_tower_of_its_own():
    ranker = with_side_towers(two_heads(plain()), ENCODING)
    for head, weight in (("view", 0.5), ("buy", 1.0)):
        tower = ranker.get_layer(f"side_tower.{head}.position")
        tower.set_weights([np.full(w.shape, weight) for w in tower.get_weights()])
    rows = {name: tf.constant(values) for name, values in inputs().items()}
    served, evaluated = ranker_of(ranker), ranker(rows, training=False)
    assert list(served.output) == ["view", "buy"]
    assert set(served.input) == {"user", "item"}
    own = served({name: rows[name] for name in ("user", "item")})
    bare = two_heads(plain())({name: rows[name] for name in ("user", "item")})
    shifts = []
    for head in ("view", "buy"):
        np.testing.assert_allclose(own[head], evaluated[head], atol=1e-5)
        shifts.append(np.unique(np.round(own[head] - bare[head], 4)))
    assert [len(shift) for shift in shifts] == [1, 1] and shifts[0] != shifts[1]


def test_the_trained_ranker_can_still_be_cloned_and_saved(model, tmp_path):
    ranker_of(model)
    tf.keras.models.clone_model(model.ranker)
    model.ranker.save(tmp_path / "ranker.keras")
    again = tf.keras.models.load_model(tmp_path / "ranker.keras")
    rows = {name: tf.constant(values) for name, values in inputs().items()}
    np.testing.assert_allclose(
        again(rows, training=True), model.ranker(rows, training=True), rtol=1e-5
    )


def test_a_ranker_that_looks_at_them_itself_is_refused(tmp_path):
    position = tf.keras.Input((), dtype="int64", name="position")
    vector = tf.keras.layers.Embedding(9, 2)(position)
    ranker = tf.keras.Model({"position": position}, tf.keras.layers.Dense(1)(vector))
    with pytest.raises(ValueError, match=r"SideTower alone, got \['position'\]"):
        export_for_serving(ranker, tmp_path, encoding=ENCODING)
