"""Small logs that the tests of the pipeline share."""

import json

import pyarrow.parquet as pq
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
    shards = Manifest.load(folder).splits[split].shards
    return [row for shard in shards for row in rows_of(folder / shard.file)]


def rows_of(path):
    """The rows of a shard of examples or columns, as dicts."""
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        rows = [_as_dict(tf.train.Example.FromString(r)) for r in read_records(path)]
    return [{key: _only(value) for key, value in row.items()} for row in rows]


def read_records(path):
    """The records of a gzipped TFRecord file, as TensorFlow reads them."""
    dataset = tf.data.TFRecordDataset([str(path)], compression_type="GZIP")
    return list(dataset.as_numpy_iterator())


def _as_dict(example):
    row = {}
    for key, feature in example.features.feature.items():
        row[key] = list(getattr(feature, feature.WhichOneof("kind")).value)
    return row


def _only(value):
    return value[0] if isinstance(value, list) and len(value) == 1 else value
