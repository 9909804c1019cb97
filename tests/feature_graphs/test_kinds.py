"""Every kind of feature: both halves are there, and they encode alike."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.feature_graphs.graph import GRAPHS
from hgr_tf.features import FeatureEncoding, FeatureSpec
from hgr_tf.features.transform import KINDS
from tests.export.models import encode

SPEC = FeatureSpec.from_yaml("""
name: kinds
user_id: user
item_id: item
label: click
missing_values: ["?", "-7"]
user:
  user: {type: categorical}
  clicked: {type: multi_hashed, num_buckets: 11, delimiter: "|", max_length: 3}
  visits: {type: multi_hashed, dtype: int64, num_buckets: 5}
item:
  item: {type: categorical}
  seen_last: {type: categorical, shares: item}
  bought: {type: multi_categorical, shares: item, max_length: 3}
  text_vector: {type: vector, size: 4}
""")
ENCODING = FeatureEncoding(SPEC, vocabularies={"user": ("a", "b"), "item": ("x", "y")})
NAMES = [feature.name for feature in SPEC.features()]
EDGES = {
    "user": ["a", "", "?"],
    "clicked": ["x|y|?|z|w", "", "?"],
    "visits": ["1,+2,-7,03", "", "-7"],
    "item": ["x", "y", "z"],
    "seen_last": ["y", "?", "w"],
    "bought": ["y,x,v,y", "", "?"],
    "text_vector": np.array(
        [[1, 2, 3, 4], [np.nan] * 4, [1, np.nan, 3, 4]], np.float32
    ),
}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoding")
    ENCODING.save(folder)
    return RawFeatures(ENCODING, folder / "vocabularies")


@pytest.mark.parametrize("name", KINDS.names())
def test_a_kind_is_named_as_its_file_and_has_both_halves(name):
    assert KINDS[name].model_fields["type"].default == name
    assert GRAPHS[name].__name__ == f"{KINDS[name].__name__}Graph"
    # The history section makes features of this kind, no spec names it.
    assert set(GRAPHS.names()) == {*KINDS.names(), "history"}


@pytest.mark.parametrize("raw", ["edges", "random"])
def test_graph_encodes_as_the_pipeline_does(features, raw):
    raw = EDGES if raw == "edges" else SampleRequests(ENCODING, NAMES).raw(200)
    raw = {
        name: np.asarray(v, object if not isinstance(v, np.ndarray) else v.dtype)
        for name, v in raw.items()
    }
    encoded = tf.function(features)({k: tf.constant(v) for k, v in raw.items()})
    for name, expected in encode(raw, ENCODING).items():
        assert encoded[name].dtype == expected.dtype, name
        np.testing.assert_allclose(encoded[name], expected, rtol=1e-6, err_msg=name)


def test_examples_encode_as_raw_tensors_do(features):
    examples = SampleRequests(ENCODING, NAMES, seed=3).examples(100)
    raw = SampleRequests(ENCODING, NAMES, seed=3).raw(100)
    encoded = features.parse([e.SerializeToString() for e in examples])
    for name, expected in encode(raw, ENCODING).items():
        np.testing.assert_allclose(encoded[name], expected, rtol=1e-6, err_msg=name)
