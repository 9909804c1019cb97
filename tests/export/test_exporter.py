"""What is exported scores as the trained ranker, in processes without Keras."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from hgr_tf.export import export_for_serving
from hgr_tf.export.checking.answers import AnswerError
from hgr_tf.export.checking.leak_report import VerificationError
from hgr_tf.export.checking.replay import ReplayError, replay
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.ranker import gives_logits
from hgr_tf.export.runtime.c_library import SessionError
from hgr_tf.export.runtime.replay_warmup import FILE
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.writer import write
from hgr_tf.rankers import mlp_ranker
from tests.export.models import ENCODING, NAMES, trained_scores

layers = tf.keras.layers


@pytest.fixture(scope="module")
def session(exported):
    return ServingSession(exported)


def requests(seed=0):
    return SampleRequests(ENCODING, NAMES, seed)


def serialized(rows, seed=0):
    examples = requests(seed).examples(rows)
    return np.array([e.SerializeToString() for e in examples], object)


def test_every_signature_equals_the_trained_ranker(model, session):
    expected = trained_scores(model, requests().raw(200))
    scores = {
        "serving_default": session.call("serving_default", requests().raw(200)),
        "examples": session.call("examples", {"inputs": serialized(200)}),
    }
    for name, outputs in scores.items():
        np.testing.assert_allclose(
            outputs["probabilities"], expected, atol=1e-6, err_msg=name
        )
    regressed = session.call("regress", {"inputs": serialized(200)})
    np.testing.assert_allclose(regressed["outputs"], expected, atol=1e-6)
    classified = session.call("classify", {"inputs": serialized(200)})
    np.testing.assert_allclose(classified["scores"][:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(classified["scores"].sum(axis=1), 1, atol=1e-6)
    assert classified["classes"].tolist() == [[b"0", b"1"]] * 200


def test_rank_equals_repeating_the_request_for_each_item(model, session):
    raw = requests().rank(3, 50)
    items = {f.name for f in ENCODING.spec.features("item")}
    rows = {
        k: v.reshape(-1) if k in items else np.repeat(v, 50) for k, v in raw.items()
    }
    scores = session.call("rank", raw)["probabilities"]
    assert scores.shape == (3, 50)
    np.testing.assert_allclose(scores.ravel(), trained_scores(model, rows), atol=1e-6)


def test_none_and_nan_among_texts_are_missing_values(session):
    raw = requests().raw(4)
    raw["city"][:3] = ""
    expected = session.call("serving_default", raw)["probabilities"]
    raw["city"][:3] = [None, np.nan, np.float32("nan")]
    scores = session.call("serving_default", raw)["probabilities"]
    np.testing.assert_array_equal(scores, expected)


def test_a_dtype_that_no_tensor_has_is_refused_with_its_input(session):
    raw = requests().raw(4)
    raw["user"] = raw["user"].astype(np.uint64)
    with pytest.raises(SessionError, match="input 'user' must be int64, got uint64"):
        session.call("serving_default", raw)


def test_a_plain_ranker_without_a_tower_exports_too(tmp_path):
    ranker = mlp_ranker(ENCODING, embedding_dim=4, hidden_units=(8,))
    folder = export_for_serving(ranker, tmp_path, encoding=ENCODING, warmup=0)
    scores = ServingSession(folder).call("serving_default", requests().raw(20))
    expected = trained_scores(ranker, requests().raw(20))
    np.testing.assert_allclose(scores["probabilities"], expected, atol=1e-6)


def test_a_ranker_without_encoding_takes_its_own_inputs(tmp_path):
    user = tf.keras.Input((), dtype="int64", name="user")
    price = tf.keras.Input((3,), name="price")
    vector = tf.keras.layers.Embedding(5, 4)(user)
    joined = tf.keras.layers.Concatenate()([vector, price])
    ranker = tf.keras.Model(
        {"user": user, "price": price},
        tf.keras.layers.Dense(1, activation="sigmoid")(joined),
    )
    ranker.from_logits = False
    folder = export_for_serving(ranker, tmp_path, with_logits=True)
    inputs = {"user": np.array([1, 4]), "price": np.ones((2, 3), np.float32)}
    session = ServingSession(folder)
    outputs = session.call("serving_default", inputs)
    expected = ranker({k: tf.constant(v) for k, v in inputs.items()})[:, 0]
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(
        outputs["logits"], np.log(expected / (1 - expected)), atol=1e-5
    )
    assert "rank" not in session.signatures


def ending(*layers):
    price = tf.keras.Input((3,), name="price")
    output = price
    for layer in layers:
        output = layer(output)
    return tf.keras.Model({"price": price}, output)


SIGMOIDS = {
    "dense": lambda: [layers.Dense(1, activation="sigmoid")],
    "activation": lambda: [layers.Dense(1), layers.Activation("sigmoid")],
    "function": lambda: [layers.Dense(1), tf.keras.activations.sigmoid],
    "reshaped": lambda: [layers.Dense(1, activation="sigmoid"), layers.Reshape((1,))],
    "nested": lambda: [ending(layers.Dense(1, activation="sigmoid"))],
}


@pytest.mark.parametrize("case", SIGMOIDS)
def test_a_ranker_that_ends_in_a_sigmoid_gives_probabilities(case):
    assert not gives_logits(ending(*SIGMOIDS[case]()))


def test_from_logits_wins_over_the_last_layer():
    ranker = ending(layers.Dense(1, activation="sigmoid"))
    ranker.from_logits = True
    assert gives_logits(ranker)
    assert gives_logits(ending(layers.Dense(1, activation="relu")))
    assert gives_logits(ending(layers.Dense(1, "sigmoid"), layers.Dense(1)))


def test_probabilities_of_a_sigmoid_ranker_are_served_as_they_are(tmp_path):
    ranker = ending(layers.Dense(1, activation="sigmoid"))
    folder = export_for_serving(ranker, tmp_path, signatures=["serving_default"])
    price = np.float32([[1, -2, 3]])
    outputs = ServingSession(folder).call("serving_default", {"price": price})
    expected = ranker({"price": tf.constant(price)})[:, 0]
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)


@pytest.mark.slow
def test_a_process_with_tensorflow_alone_loads_and_answers(model, exported, tmp_path):
    raw = requests().raw(5)
    np.savez(tmp_path / "raw.npz", **raw)
    code = f"""
import json, sys
import numpy as np
import tensorflow as tf
raw = np.load({str(tmp_path / "raw.npz")!r}, allow_pickle=True)
loaded = tf.saved_model.load({str(exported)!r})
serve = loaded.signatures["serving_default"]
outputs = serve(**{{k: tf.constant(raw[k]) for k in raw}})
assert not [m for m in sys.modules if m.split(".")[0] in ("hgr_tf", "export")]
print(json.dumps(outputs["probabilities"].numpy().tolist()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    scores = json.loads(done.stdout)
    np.testing.assert_allclose(scores, trained_scores(model, raw), atol=1e-6)


def test_v1_loader_runs_it(model, exported):
    raw = requests().raw(5)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(exported))
        signature = meta.signature_def["serving_default"]
        scores = session.run(
            signature.outputs["probabilities"].name,
            {signature.inputs[k].name: v for k, v in raw.items()},
        )
    np.testing.assert_allclose(scores, trained_scores(model, raw), atol=1e-6)


@pytest.mark.slow
def test_saved_model_cli_finds_no_denylisted_op(exported):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tensorflow.python.tools.saved_model_cli",
            "scan",
            "--dir",
            str(exported),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "does not contain the default denylisted ops" in done.stdout


def test_method_names_and_fingerprint_are_those_of_the_signatures(exported):
    proto = saved_model_pb2.SavedModel.FromString(
        (exported / "saved_model.pb").read_bytes()
    )
    methods = {k: v.method_name for k, v in proto.meta_graphs[0].signature_def.items()}
    assert methods["classify"] == "tensorflow/serving/classify"
    assert methods["regress"] == "tensorflow/serving/regress"
    assert methods["rank"] == "tensorflow/serving/predict"
    written = tf.saved_model.experimental.read_fingerprint(str(exported))
    (exported / "fingerprint.pb").rename(exported / "fingerprint.old")
    try:
        fingerprinting_utils.write_fingerprint(str(exported))
        fresh = tf.saved_model.experimental.read_fingerprint(str(exported))
    finally:
        (exported / "fingerprint.old").rename(exported / "fingerprint.pb")
    assert written.signature_def_hash == fresh.signature_def_hash


def test_vocabularies_are_assets(exported):
    for name in ("user", "city", "item", "tags", "words"):
        lines = (exported / "assets" / f"{name}.txt").read_text("utf-8").splitlines()
        assert tuple(lines) == ENCODING.vocabularies[name]


def test_inputs_of_unequal_sizes_are_refused(session):
    raw = requests().raw(4)
    raw["age"] = raw["age"][:1]
    with pytest.raises(Exception, match="input 'age' must have 4 rows, as 'user'"):
        session.call("serving_default", raw)
    raw = requests().rank(2, 3)
    raw["price"] = raw["price"].reshape(3, 2)
    with pytest.raises(Exception, match="input 'price' must have"):
        session.call("rank", raw)


@pytest.mark.fault(
    "export",
    "a version's files are damaged",
    "its verification fails",
)
def test_a_corrupt_version_fails_the_replay(exported, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(ReplayError, match="does not run in a fresh process"):
        replay(tmp_path)
    assert replay(exported) == 30


@pytest.mark.fault(
    "export",
    "a version turns out wrong as it is verified",
    "it is not published; the one before is served",
)
@pytest.mark.parametrize(
    ("file", "refusal"),
    [("keras_metadata.pb", VerificationError), (FILE, ReplayError)],
    ids=["a leak", "a bad warm-up record"],
)
def test_a_bad_version_is_not_published(model, tmp_path, monkeypatch, file, refusal):
    def write_more(ranker, folder, *arguments):
        write(ranker, folder, *arguments)
        (folder / file).write_bytes(b"neither metadata nor a record")

    monkeypatch.setattr("hgr_tf.export.exporter.write", write_more)
    with pytest.raises(refusal):
        export_for_serving(
            *(model, tmp_path),
            encoding=ENCODING,
            signatures=["serving_default"],
            warmup=0,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": 0}, "`version` must be an integer from 1 to .*, got 0"),
        ({"warmup": 1001}, "`warmup` must be between 0 and 1000, got 1001"),
        ({"keep": 0}, "`keep` must be at least 1, got 0"),
        ({"table_dtype": "int4"}, "`table_dtype` must be"),
        ({"signatures": ["predict"]}, "`signatures` must be some of"),
    ],
)
def test_wrong_arguments_publish_nothing(model, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export_for_serving(model, tmp_path / "m", encoding=ENCODING, **arguments)
    assert not (tmp_path / "m").exists()


def test_a_ranker_without_item_features_has_no_rank_signature(tmp_path):
    user = tf.keras.Input((), dtype="int64", name="user")
    vector = layers.Embedding(ENCODING.num_ids("user"), 4)(user)
    ranker = tf.keras.Model({"user": user}, layers.Dense(1)(vector))
    with pytest.raises(ValueError, match=r"takes an item feature, got \['user'\]"):
        export_for_serving(ranker, tmp_path, encoding=ENCODING, signatures=["rank"])
    folder = export_for_serving(ranker, tmp_path, encoding=ENCODING, warmup=4)
    assert "rank" not in ServingSession(folder).signatures


def one_embedding(start):
    """A ranker whose logit is the user's one weight."""
    user = tf.keras.Input((), dtype="int64", name="user")
    table = layers.Embedding(
        ENCODING.num_ids("user"),
        1,
        embeddings_initializer=tf.keras.initializers.Constant(start),
    )
    return tf.keras.Model({"user": user}, table(user))


@pytest.mark.fault(
    "export",
    "weights are NaN, or all answers equal",
    "it is not published",
)
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (float("nan"), "weights must be finite, got NaN or infinity in .*embedding"),
        (0.0, r"must differ, got 0.5 for each of 256 .*a constant ranks nothing"),
    ],
)
def test_what_answers_nan_or_a_constant_is_not_published(tmp_path, weight, message):
    with pytest.raises(AnswerError, match=message):
        export_for_serving(one_embedding(weight), tmp_path / "m", encoding=ENCODING)
    assert not list(tmp_path.glob("m/[0-9]*"))


def test_what_overflows_in_smaller_tables_is_not_published(tmp_path):
    ranker = one_embedding(0.0)
    (weights,) = ranker.get_weights()
    weights[::2], weights[1::2] = 1e6, -1e6  # float16 ends at 65,504
    ranker.set_weights([weights])
    with pytest.raises(AnswerError, match="must be finite"):
        hidden = layers.Lambda(lambda x: x - x)(ranker.output)
        both = tf.keras.Model(ranker.input, hidden)
        export_for_serving(
            both, tmp_path / "m", encoding=ENCODING, table_dtype="float16"
        )


def test_inputs_that_are_no_features_are_named(tmp_path):
    user = tf.keras.Input((), dtype="int64", name="viewer")
    vector = tf.keras.layers.Embedding(5, 4)(user)
    ranker = tf.keras.Model({"viewer": user}, tf.keras.layers.Dense(1)(vector))
    with pytest.raises(ValueError, match=r"of the spec 'shop', got \['viewer'\]"):
        export_for_serving(ranker, tmp_path / "m", encoding=ENCODING)
