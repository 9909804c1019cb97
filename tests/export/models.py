"""A small encoding, ranker and wrapped model that all export tests share."""

import numpy as np
import pyarrow as pa
import tensorflow as tf

import hgr_tf
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.pipelines.encoding.feature_encoder import FeatureEncoder
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import feature_field
from hgr_tf.rankers import dcn_v2_ranker

SPEC = """
name: shop
user_id: user
item_id: item
label: click
missing_values: ["?", "-7", "nan"]
user:
  user: {type: categorical, dtype: int64, oov_buckets: 3}
  city: {type: categorical, oov_buckets: 2}
  age: {type: numeric, log1p: true, default: 3.5}
item:
  item: {type: categorical}
  brand: {type: hashed, num_buckets: 7}
  shelf: {type: hashed, dtype: int64, num_buckets: 5}
  price: {type: bucketized, boundaries: [1, 2.5, 10]}
  weight_g: {type: numeric, standardize: false}
  tags: {type: multi_categorical, dtype: int64, max_length: 3, oov_buckets: 2}
  words: {type: multi_categorical, delimiter: "|", max_length: 4}
context:
  page: {type: categorical}
"""

ENCODING = FeatureEncoding(
    FeatureSpec.from_yaml(SPEC),
    vocabularies={
        "user": tuple(str(n) for n in range(100, 160)),
        "city": ("Köln", "Paris", "New York", "大阪"),
        "item": tuple(f"item-{n}" for n in range(40)),
        "tags": ("1", "2", "30", "-5"),
        "words": ("red", "blue, dark", "x" * 40),
        "page": (),
    },
    boundaries={"price": (1.0, 2.5, 10.0)},
    moments={"age": (2.0, 0.75)},
)
NAMES = [f.name for f in ENCODING.spec.features()]


def small_ranker(seed=1, encoding=ENCODING, **arguments):
    tf.keras.utils.set_random_seed(seed)
    sizes = {"embedding_dim": 8, "hidden_units": (16,), "user_tower": (16,)}
    ranker = dcn_v2_ranker(encoding, **{**sizes, **arguments})
    for weight in ranker.weights:  # scores well apart, and no weight constant
        weight.assign(weight + tf.random.normal(weight.shape, stddev=0.3))
    return ranker


def trained_model(seed=1, encoding=ENCODING):
    """A wrapped ranker after a few steps: codebooks and slots have values."""
    model = hgr_tf.HierarchicalGroupwiseRanker(
        small_ranker(seed, encoding),
        user_embedding="user_embedding",
        quantizer=hgr_tf.layers.ResidualVectorQuantizer(2, 4),
        ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(2),
        quantized_loss_weight=0.5,
    )
    model.compile("adam", run_eagerly=True)  # quicker for two steps than tracing
    names = [f.name for f in encoding.spec.features()]
    features = encode(SampleRequests(encoding, names, seed).raw(128), encoding)
    features[USER] = features["user"]
    labels = np.random.default_rng(seed).integers(0, 2, 128).astype(np.float32)
    model.fit(features, labels, batch_size=64, verbose=0)
    return model


def encode(raw, encoding=ENCODING):
    """The ranker's inputs for raw tensors [rows], by the pipeline's encoding."""
    typed, encoded = {}, {}
    for feature in encoding.spec.given_features():
        values = [_as_logged(v) for v in raw[feature.name].tolist()]
        column = cast(
            pa.array(values), feature_field(feature), encoding.spec.missing_values
        )
        assert not any(mask.any() for _, mask in column.bad), column.bad
        typed[feature.name] = column.values
    for feature in encoding.spec.features():
        if feature.transform.parts:
            parts = [typed[name] for name in feature.reads]
            typed[feature.name] = feature.transform.combine(parts)
        column = typed[feature.name]
        for name, array in FeatureEncoder(feature, encoding)(column).items():
            form, rows = feature.inputs[name], array.to_pylist()
            if form.padded:
                rows = [row + [0] * (form.size - len(row)) for row in rows]
            encoded[name] = np.array(rows, form.dtype)
    return encoded


def trained_scores(model, raw, encoding=ENCODING):
    """Probabilities of the trained ranker itself, [rows]."""
    ranker = getattr(model, "ranker", model)
    inputs = {k: tf.constant(v) for k, v in encode(raw, encoding).items()}
    logits = ranker(inputs, training=False)
    return tf.sigmoid(tf.reshape(logits, [-1])).numpy()


def _as_logged(value):
    if isinstance(value, float | list) and np.isnan(value).any():
        return None
    if isinstance(value, int) and value == np.iinfo(np.int64).min:
        return None
    return value.decode() if isinstance(value, bytes) else value
