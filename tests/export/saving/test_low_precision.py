import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.export.checking.saved_graph import SavedGraph
from hgr_tf.export.exporter import export_for_serving
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.options import ExportOptions
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.low_precision import (
    low_precision_tables,
    score_change,
    table_bytes,
)
from hgr_tf.export.saving.onnx import export_onnx
from hgr_tf.export.saving.writer import write
from tests.export.models import ENCODING, NAMES, encode, small_ranker, trained_scores

BOUNDS = {"bfloat16": 2e-2, "float16": 2e-3, "int8": 5e-2}


def variable_bytes(folder):
    return (folder / "variables" / "variables.data-00000-of-00001").stat().st_size


@pytest.mark.parametrize("dtype", BOUNDS)
def test_small_tables_change_scores_a_little_and_leave_the_ranker(dtype):
    ranker = small_ranker()
    raw = SampleRequests(ENCODING, NAMES).raw(100)
    before = trained_scores(ranker, raw)
    largest, mean = score_change(ranker, ENCODING, dtype)
    assert 0 < mean < largest < BOUNDS[dtype]
    np.testing.assert_array_equal(trained_scores(ranker, raw), before)


def test_the_change_of_probabilities_is_that_of_a_sigmoid_ranker(tmp_path):
    ranker = small_ranker()
    sigmoid = tf.keras.Model(ranker.input, tf.keras.activations.sigmoid(ranker.output))
    change = score_change(sigmoid, ENCODING, "int8", from_logits=False)
    np.testing.assert_allclose(change, score_change(ranker, ENCODING, "int8"), 1e-4)


def test_int8_rows_are_off_by_half_a_step_at_most():
    ranker = small_ranker()
    layer = ranker.get_layer("user_embedding")
    table = np.asarray(layer.embeddings)
    with low_precision_tables(ranker, "int8"):
        stored = layer(np.arange(len(table))).numpy()
    steps = np.abs(table).max(axis=1, keepdims=True) / 127
    assert (np.abs(stored - table) <= steps / 2 + 1e-7).all()


class Scaled(tf.keras.layers.Embedding):
    def call(self, inputs):
        return super().call(inputs) * 8.0


class Renamed(tf.keras.layers.Embedding):
    pass


def test_embeddings_with_a_call_of_their_own_stay_as_they_are():
    ids = tf.keras.Input((), dtype="int64", name="user")
    vectors = [Scaled(9, 4, name="scaled")(ids), Renamed(9, 4, name="renamed")(ids)]
    ranker = tf.keras.Model({"user": ids}, vectors)
    users = {"user": tf.range(9, dtype=tf.int64)}
    scaled, renamed = ranker(users)
    with low_precision_tables(ranker, "int8"):
        small_scaled, small_renamed = ranker(users)
    np.testing.assert_array_equal(small_scaled, scaled)
    assert 0 < np.abs(small_renamed - renamed).max() < BOUNDS["int8"]


@pytest.mark.slow
def test_small_tables_are_exported_small_and_verified(tmp_path):
    # So wide that the tables are the bulk of the model.
    ranker = small_ranker(embedding_dim=64)
    options = ExportOptions(("serving_default",))
    write(ranker, tmp_path / "float32", ENCODING, options)
    small = export_for_serving(
        ranker,
        tmp_path / "bfloat16",
        encoding=ENCODING,
        table_dtype="bfloat16",
        signatures=["serving_default"],
        warmup=2,
    )
    saved = table_bytes(ranker) - table_bytes(ranker, "bfloat16")
    difference = variable_bytes(tmp_path / "float32") - variable_bytes(small)
    assert difference == pytest.approx(saved, rel=0.05)
    raw = SampleRequests(ENCODING, NAMES).raw(50)
    scores = ServingSession(small).call("serving_default", raw)["probabilities"]
    expected = trained_scores(ranker, raw)
    assert 0 < np.abs(scores - expected).max() < 0.1


def test_an_int8_export_serves_what_its_tables_say(tmp_path):
    ranker = small_ranker()
    folder = export_for_serving(
        ranker, tmp_path, encoding=ENCODING, table_dtype="int8", warmup=5
    )
    raw = SampleRequests(ENCODING, NAMES).raw(50)
    session = ServingSession(folder)
    scores = session.call("serving_default", raw)["probabilities"]
    with low_precision_tables(ranker, "int8"):
        np.testing.assert_allclose(scores, trained_scores(ranker, raw), atol=1e-6)
    assert 0 < np.abs(scores - trained_scores(ranker, raw)).max() < BOUNDS["int8"]
    shapes = SavedGraph(folder).variable_shapes()
    assert sum(n for (dtype, _), n in shapes.items() if dtype == "int8") > 5


def test_onnx_runtime_equals_the_ranker(tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    ranker = small_ranker()
    export_onnx(ranker, tmp_path / "ranker.onnx")
    raw = SampleRequests(ENCODING, NAMES).raw(50)
    session = runtime.InferenceSession(str(tmp_path / "ranker.onnx"))
    (scores,) = session.run(["probabilities"], encode(raw))
    np.testing.assert_allclose(scores, trained_scores(ranker, raw), atol=1e-6)
