"""Every kind of feature: both halves are there, and they encode alike."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.feature_graphs.graph import GRAPHS, graph_of
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
  likes: {type: weighted_categorical, oov_buckets: 3, max_length: 3}
  terms: {type: weighted_hashed, num_buckets: 7, delimiter: "|", weight_delimiter: "=>"}
  shelf: {type: hashed, dtype: int64, num_buckets: 5}
  user_shelf: {type: cross, of: [user, shelf], num_buckets: 23}
item:
  item: {type: categorical}
  seen_last: {type: categorical, shares: item}
  bought: {type: multi_categorical, shares: item, max_length: 3}
  text_vector: {type: vector, size: 4}
  user_seen: {type: cross, of: [seen_last, user], num_buckets: 29}
""")
ENCODING = FeatureEncoding(
    SPEC,
    vocabularies={"user": ("a", "b"), "item": ("x", "y"), "likes": ("p", "q:r")},
)
NAMES = [feature.name for feature in SPEC.features()]
EDGES = {
    "user": ["a", "", "?"],
    "clicked": ["x|y|?|z|w", "", "?"],
    "visits": ["1,+2,-7,03", "", "-7"],
    "likes": ["p:.5,q:r:2e0,new:-1,p", "", "?"],
    "terms": ["a=>0.5|?=>1||b|=>3|c=>+.25", "", "?"],
    "shelf": np.array([-3, np.iinfo(np.int64).min, -7]),
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


def test_a_pair_has_an_id_of_its_own_and_none_without_both_values(features):
    raw = {
        "user": tf.constant(["a", "b", "a", "?", "a1", "a"]),
        "shelf": tf.constant([1, 1, 2, 1, 1, 11], tf.int64),
    }
    cross = SPEC.feature("user_shelf")
    graph = graph_of(cross, ENCODING, None)
    ids = graph(*(raw[name] for name in cross.reads))["user_shelf"].numpy()
    assert ids[3] == 0
    assert len(set(ids)) > 4  # "a1" with 1, and "a" with 11, are two pairs


def test_weights_go_with_their_values(features):
    likes = graph_of(SPEC.feature("terms"), ENCODING, None)(
        tf.constant(["a=>0.5|b|c=>-2", ":|x=>inf|", "a=>|b=>x|c=> 2|d=>+3"])
    )
    np.testing.assert_array_equal(
        likes["terms_weight"][:, :4], [[0.5, 1, -2, 0], [1, 0, 0, 0], [0, 0, 0, 3]]
    )
    assert (likes["terms"].numpy() > 0).sum(axis=1).tolist() == [3, 2, 4]
