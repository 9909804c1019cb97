"""Small logs that the tests of the pipeline share."""

import json

import pytest
import tensorflow as tf

from hgr_tf.data.manifest import Manifest
from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.run import prepare

SPEC = """
name: small
user_id: user
item_id: item
label: click
user: {user: {type: categorical}, age: {type: numeric}}
item:
  item: {type: categorical, dtype: int64}
  tags: {type: multi_categorical, delimiter: "|", max_length: 3}
context:
  hour: {type: bucketized, num_buckets: 4}
  city: {type: hashed, num_buckets: 9}
"""


@pytest.fixture
def spec():
    return FeatureSpec.from_yaml(SPEC)


@pytest.fixture
def run(tmp_path):
    """Runs a preparation into a folder of its own; returns (folder, manifest)."""

    def run(spec, inputs, name="out", **arguments):
        folder = tmp_path / name
        return folder, prepare(spec, inputs, folder, **arguments)

    return run


def dead_letters(folder):
    """All dead letters of a prepared folder."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("dead_letter-*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def examples(folder, split):
    """The examples of a split as dicts: lists of values, or the only one."""
    manifest = Manifest.load(folder)
    records = [
        record
        for shard in manifest.splits[split].shards
        for record in read_records(folder / shard.file)
    ]
    return [_as_dict(tf.train.Example.FromString(record)) for record in records]


def read_records(path):
    """The records of a gzipped TFRecord file, as TensorFlow reads them."""
    dataset = tf.data.TFRecordDataset([str(path)], compression_type="GZIP")
    return list(dataset.as_numpy_iterator())


def _as_dict(example):
    row = {}
    for key, feature in example.features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind")).value
        row[key] = values[0] if len(values) == 1 else list(values)
    return row
