"""A small prepared folder, written without the pipeline."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from hgr_tf.data import Manifest
from hgr_tf.data.manifest import Shard, Split
from hgr_tf.features import ITEM, LABEL, USER, WEIGHT, FeatureEncoding, FeatureSpec
from hgr_tf.features.keys import label_key

SPEC = FeatureSpec.from_yaml("""
name: small
user_id: user
item_id: item
label: click
user:
  user: {type: categorical, dtype: int64}
  age: {type: bucketized, boundaries: [20, 40]}
item:
  item: {type: categorical, dtype: int64}
  tags: {type: multi_categorical, max_length: 3}
  price: {type: numeric}
context:
  device: {type: hashed, num_buckets: 4}
""")
USERS, ITEMS, TAGS = 40, 30, 5
ENCODING = FeatureEncoding(
    spec=SPEC,
    vocabularies={
        "user": tuple(str(u) for u in range(USERS)),
        "item": tuple(str(i) for i in range(ITEMS)),
        "tags": tuple(f"tag{t}" for t in range(TAGS)),
    },
    boundaries={"age": (20.0, 40.0)},
    moments={"price": (0.0, 1.0)},
)
TWO_LABELS = dataclasses.replace(
    ENCODING,
    spec=SPEC.model_validate(
        {
            **SPEC.model_dump(exclude={"label"}, mode="json"),
            "labels": {
                "click": "click",
                "purchase": {"column": "buy", "given": "click"},
            },
        }
    ),
)
"""An encoding of the same features, for a spec of two labels."""


def rows(count: int, seed: int, weighted: bool = False) -> list[dict]:
    """Encoded rows: odd items are clicked more, and odd users click more."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        user, item = rng.integers(USERS), rng.integers(ITEMS)
        row = {
            USER: [user],
            ITEM: [item],
            LABEL: [float(rng.random() < 0.15 + 0.35 * (item % 2) + 0.2 * (user % 2))],
            "user": [user + 2],
            "age": [rng.integers(4)],
            "item": [item + 2],
            "tags": list(rng.integers(2, 2 + TAGS, rng.integers(4))),
            "price": [float(np.float32(rng.normal()))],
            "device": [rng.integers(5)],
        }
        if weighted:
            row[WEIGHT] = [float(rng.integers(1, 4))]
        out.append(row)
    return out


def rows_of_two_labels(count: int, seed: int) -> list[dict]:
    """The rows of `rows` for `TWO_LABELS`: clicked odd items are bought more."""
    rng = np.random.default_rng((seed, 1))
    out = []
    for row in rows(count, seed):
        click = row.pop(LABEL)
        rate = 0.15 + 0.5 * (row[ITEM][0] % 2)
        bought = float(click[0] * (rng.random() < rate))
        labels = {label_key("click"): click, label_key("purchase"): [bought]}
        out.append(row | labels)
    return out


def write_prepared(
    folder,
    splits: dict[str, list[dict]],
    shards: int = 2,
    output_format: str = "parquet",
    layout: str | None = None,
    encoding: FeatureEncoding = ENCODING,
) -> Path:
    """Writes the folder as `hgr-tf prepare` would; returns its path."""
    folder = Path(folder)
    encoding.save(folder)
    first_label = next(iter(encoding.spec.label_keys()))
    manifest = {}
    for name, split in splits.items():
        listed = []
        for index in range(shards):
            part = split[index::shards]
            suffix = {"parquet": "parquet", "tfrecord": "tfrecord.gz"}[output_format]
            file = f"{name}-{index:05}-of-{shards:05}.{suffix}"
            write = {"parquet": _write_columns, "tfrecord": _write_examples}
            write[output_format](folder / file, part)
            stored = (folder / file).read_bytes()
            listed.append(
                Shard(
                    file=file,
                    rows=len(part),
                    bytes=len(stored),
                    sha256=hashlib.sha256(stored).hexdigest(),
                )
            )
        positives = sum(row[first_label][0] > 0 for row in split)
        manifest[name] = Split(rows=len(split), positives=positives, shards=listed)
    Manifest(
        spec_sha256=encoding.spec.digest(),
        output_format=output_format,
        splits=manifest,
        arguments={"layout": layout} if layout else {},
    ).write(folder)
    return folder


def _write_examples(path: Path, rows: list[dict]) -> None:
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            writer.write(_example(row).SerializeToString())


def _write_columns(path: Path, rows: list[dict]) -> None:
    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        is_float = name.startswith(("price", "__label_", "__weight_"))
        kind = pa.float32() if is_float else pa.int64()
        if name == "tags":
            columns[name] = pa.array(values, pa.list_(kind))
        else:
            columns[name] = pa.array([value for (value,) in values], kind)
    table = pa.table(columns)
    pq.write_table(table, path, row_group_size=8, write_page_checksum=True)


def _example(row: dict) -> tf.train.Example:
    features = {}
    for name, values in row.items():
        if any(isinstance(value, float) for value in values):
            kind = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            kind = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        features[name] = kind
    return tf.train.Example(features=tf.train.Features(feature=features))
