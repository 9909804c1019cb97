import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.feature_graphs.raw_values import MISSING_INT
from tests.export.models import ENCODING, NAMES, encode

EDGES = {
    "user": [100, 159, 7, -7, MISSING_INT, 2**63 - 1, 0],
    "city": ["Köln", "大阪", "köln", "?", "", "New York", " Paris"],
    "age": [0.0, np.nan, 1e30, -2.5, 3.5, 1e-30, -7.0],
    "item": ["item-0", "item-39", "item-40", "", "?", "\n", "item-0\r"],
    "brand": ["x", "", "?", "大阪", "x" * 100, "0", "007"],
    "shelf": [0, -1, MISSING_INT, 7, 2**40, -7, 3],
    "price": [1.0, 0.99999994, 2.5, 10.0, np.nan, -1e9, 1e9],
    "weight_g": [1.5, np.nan, -0.0, 1e10, 3.0, 16777217.0, 2.0],
    "tags": ["1,2,30", "", "30,,?,-5,1", "007,+1,2.0", "?", "true", "1,True,FALSE"],
    "words": ["red", "blue, dark|red", "|", "red|?|x", "a|b|c|d|e", "x" * 40, "RED"],
    "page": ["", "home", "?", "a", "b", "c", "d"],
}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoding")
    ENCODING.save(folder)
    return RawFeatures(ENCODING, folder / "vocabularies")


def edge_rows():
    dtypes = {"user": np.int64, "shelf": np.int64}
    dtypes |= dict.fromkeys(("age", "price", "weight_g"), np.float32)
    return {k: np.array(v, dtypes.get(k, object)) for k, v in EDGES.items()}


def assert_encoded_alike(encoded, raw):
    for name, expected in encode(raw).items():
        actual = encoded[name].numpy()
        assert actual.dtype == expected.dtype, name
        np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "raw",
    [edge_rows(), SampleRequests(ENCODING, NAMES).raw(500)],
    ids=["edge", "random"],
)
def test_graph_encodes_as_the_pipeline_does(features, raw):
    encoded = tf.function(features)({k: tf.constant(v) for k, v in raw.items()})
    assert_encoded_alike(encoded, raw)


def test_examples_encode_as_raw_tensors_do(features):
    requests = SampleRequests(ENCODING, NAMES, seed=3)
    examples = requests.examples(300)
    raw = SampleRequests(ENCODING, NAMES, seed=3).raw(300)
    encoded = features.parse([e.SerializeToString() for e in examples])
    assert_encoded_alike(encoded, raw)


def test_an_empty_example_is_a_row_of_missing_values(features):
    encoded = features.parse([tf.train.Example().SerializeToString()])
    for feature in ENCODING.spec.features():
        value = encoded[feature.name].numpy()
        if feature.transform.is_categorical:
            assert not value.any(), feature.name
    np.testing.assert_allclose(encoded["age"], [(np.log1p(3.5) - 2.0) / 0.75], 1e-6)


def test_infinite_numbers_count_as_missing(features):
    raw = edge_rows()
    raw["age"][:2] = [np.inf, -np.inf]
    raw["price"][:2] = [np.inf, -np.inf]
    encoded = features({k: tf.constant(v) for k, v in raw.items()})
    default = (np.log1p(3.5) - 2.0) / 0.75
    np.testing.assert_allclose(encoded["age"][:2], [default] * 2, 1e-6)
    np.testing.assert_array_equal(encoded["price"][:2], [0, 0])


def test_a_list_in_an_example_may_hold_the_delimiter(features):
    example = tf.train.Example()
    example.features.feature["words"].bytes_list.value.extend([b"blue, dark", b"a|b"])
    encoded = features.parse([example.SerializeToString()])
    first = ENCODING.first_vocabulary_id("words")
    assert encoded["words"].numpy().tolist() == [[first + 1, 1, 0, 0]]


@pytest.mark.parametrize("value", ["red\r", "red\nblue"])
def test_a_vocabulary_value_that_no_line_can_hold_is_refused(tmp_path, value):
    words = {**ENCODING.vocabularies, "words": ("blue", value)}
    encoding = dataclasses.replace(ENCODING, vocabularies=words)
    encoding.save(tmp_path)
    with pytest.raises(ValueError, match=rf"'words': .* got {re.escape(repr(value))}"):
        RawFeatures(encoding, tmp_path / "vocabularies")


@pytest.mark.parametrize("text", ["-999.0", "-999", "+7.", "0.5", "1e3", "1e99"])
def test_a_missing_number_is_missing_however_it_is_written(tmp_path, text):
    spec = ENCODING.spec.model_copy(update={"missing_values": ("?", "nan", text)})
    encoding = dataclasses.replace(ENCODING, spec=spec)
    encoding.save(tmp_path)
    features = RawFeatures(encoding, tmp_path / "vocabularies")
    raw = edge_rows()
    for values in raw.values():
        if values.dtype == np.int64:
            values[:3] = [-999, 7, 1000]
        elif values.dtype == np.float32:
            values[:4] = [-999, 7, 1000, 0.5]
    encoded = features({k: tf.constant(v) for k, v in raw.items()})
    for name, expected in encode(raw, encoding).items():
        np.testing.assert_allclose(encoded[name], expected, rtol=1e-6, err_msg=name)


MISSING_TEXTS = ("?", "a|b", "1,2", "99999999999999999999", "-9223372036854775809")


def test_a_missing_text_may_hold_a_delimiter_or_a_number_past_the_dtype(tmp_path):
    spec = ENCODING.spec.model_copy(update={"missing_values": MISSING_TEXTS})
    encoding = dataclasses.replace(ENCODING, spec=spec)
    encoding.save(tmp_path)
    features = RawFeatures(encoding, tmp_path / "vocabularies")
    raw = edge_rows()
    raw["words"][:5] = ["a|b", "red|a|b", "a|b|", "|a|b", "?"]
    raw["tags"][:5] = ["1,2", "30,1,2", "1,2,", "+1,2", "2,1"]
    raw["weight_g"][:2] = [5e19, -(2.0**63)]
    encoded = features({k: tf.constant(v) for k, v in raw.items()})
    for name, expected in encode(raw, encoding).items():
        np.testing.assert_allclose(encoded[name], expected, rtol=1e-6, err_msg=name)


def test_text_that_is_no_integer_is_refused(features):
    raw = edge_rows()
    raw["tags"][0] = "1,two"
    with pytest.raises(tf.errors.InvalidArgumentError, match="two"):
        features({k: tf.constant(v) for k, v in raw.items()})
