"""Specs with several labels: checked, split, counted, written and read by all."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from hgr_tf.data import PreparedData
from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.reasons import MISSING, NEGATIVE, OUT_OF_RANGE, WITHOUT_GIVEN
from hgr_tf.pipelines.rows.validation import check_log
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.sources import RawBatch
from tests.pipelines.conftest import SPEC, examples, read_records

LABELS = """labels:
  click: clicked
  purchase: {column: bought, positive_at_least: 2, max: 9, given: click, weight: w_buy}
  like: liked"""
SEVERAL = SPEC.replace("label: click", LABELS) + "weight: w\n"


def rows(n=300):
    rng = np.random.default_rng(0)
    clicked = rng.random(n) < 0.4
    bought = np.where(clicked, rng.integers(0, 4, n), 0)
    return [
        {
            "user": f"u{rng.integers(20)}",
            "item": int(rng.integers(30)),
            "clicked": int(clicked[i]),
            # What was not clicked may lack these.
            **({"bought": int(bought[i])} if clicked[i] or i % 2 else {}),
            **({"w_buy": float(rng.integers(1, 4)) / 2} if clicked[i] or i % 3 else {}),
            "liked": int(rng.random() < 0.1),
            "w": float(rng.integers(1, 4)),
            "age": float(i),
        }
        for i in range(n)
    ]


def written(folder, spec, log, **arguments):
    path = folder / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, log)))
    out = folder / "out"
    return out, prepare(FeatureSpec.from_yaml(spec), [str(path)], out, **arguments)


@pytest.fixture(scope="module", params=[("parquet", "shuffled"), ("tfrecord", "user")])
def prepared(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    output_format, layout = request.param
    return written(folder, SEVERAL, rows(), output_format=output_format, layout=layout)


def test_batches_hold_each_label_and_its_weight_by_name(prepared):
    folder, _ = prepared
    ((features, labels, weights),) = PreparedData.load(folder).dataset("train", 400)
    assert list(labels) == list(weights) == ["click", "purchase", "like"]
    assert not any(name.startswith("__label") for name in features)
    found = {
        float(age): tuple(
            float(part[name][i]) for name in labels for part in (labels, weights)
        )
        for i, age in enumerate(features["age"].numpy())
    }
    ages = np.array([row["age"] for row in rows()])
    standardized = dict(zip(sorted(found), np.sort(ages), strict=True))
    log = {row["age"]: row for row in rows()}
    for age, (click, w_click, purchase, w_purchase, like, w_like) in found.items():
        row = log[standardized[age]]
        assert (click, like) == (row["clicked"], row["liked"])
        assert purchase == (row.get("bought", 0) >= 2)
        assert w_click == w_like == row["w"]
        assert w_purchase == row["w"] * row.get("w_buy", 1)


def test_lists_hold_every_label_and_its_weight(tmp_path):
    tfr = pytest.importorskip("tensorflow_ranking", reason="needs TF 2.15")
    folder, manifest = written(tmp_path, SEVERAL, rows(), output_format="elwc")
    (shard,) = manifest.splits["train"].shards
    keys = ("__label_click__", "__label_purchase__", "__weight_purchase__")
    absent = tf.io.FixedLenFeature([1], tf.float32, [-1.0])
    parsed = tfr.data.parse_from_example_list(
        read_records(folder / shard.file),
        context_feature_spec={"__user__": tf.io.FixedLenFeature([1], tf.int64)},
        example_feature_spec=dict.fromkeys(keys, absent),
    )
    listed = zip(*(parsed[key].numpy().ravel() for key in keys), strict=True)
    assert sorted(row for row in listed if row[0] >= 0) == sorted(
        (row["clicked"], row.get("bought", 0) >= 2, row.get("w_buy", 1))
        for row in rows()
    )


def test_counts_are_those_of_each_label_where_it_is_defined(prepared):
    folder, manifest = prepared
    clicks = sum(row["clicked"] for row in rows())
    bought = sum(row.get("bought", 0) >= 2 for row in rows())
    split = manifest.splits["train"]
    assert (split.rows, split.positives) == (300, clicks)
    assert split.labels["purchase"].model_dump() == {
        "rows": clicks,
        "positives": bought,
    }
    statistics = json.loads((folder / "statistics.json").read_text())
    told = statistics["splits"]["train"]["labels"]["purchase"]
    assert told["positive_rate"] == round(bought / clicks, 6)
    assert "train, purchase" in (folder / "statistics.html").read_text()
    assert PreparedData.load(folder).manifest == manifest


def test_schema_names_the_labels_and_their_weights(prepared):
    folder, _ = prepared
    schema = text_format.Parse(
        (folder / "schema.pbtxt").read_text(), schema_pb2.Schema()
    )
    names = {feature.name for feature in schema.feature}
    (row, *_) = examples(folder, "train")
    assert names <= {*row, "tags"}
    assert {name for name in names if name.startswith(("__label", "__weight"))} == {
        "__label_click__", "__label_purchase__", "__label_like__",
        "__weight__", "__weight_purchase__",
    }  # fmt: skip


def test_a_random_split_keeps_the_share_of_each_combination(tmp_path):
    log = [
        {"user": "u", "item": i, "age": i, "w": 1}
        | {"clicked": i % 2, "liked": i % 3 // 2}
        | ({"bought": 3 * (i % 4 == 1), "w_buy": 1} if i % 2 else {})
        for i in range(240)
    ]
    split = "split: {by: random, fractions: {train: 0.75, val: 0.25}}\n"
    _, manifest = written(tmp_path, SEVERAL + split, log)
    labels = manifest.splits["val"].labels
    assert [counts.positives for counts in labels.values()] == [30, 15, 20]


def test_a_row_with_any_positive_is_no_negative(tmp_path):
    log = [row | {"clicked": 0, "bought": 0} for row in rows()]
    _, manifest = written(tmp_path, SEVERAL + "negatives: {rate: 0.1}\n", log)
    folder = tmp_path / "out"
    ((_, labels, weights),) = PreparedData.load(folder).dataset("train", 400)
    likes = sum(row["liked"] for row in log)
    assert labels["like"].numpy().sum() == likes < manifest.splits["train"].rows < 150
    negative = labels["like"].numpy() == 0
    assert set(weights["click"].numpy()[negative]) == {10.0, 20.0, 30.0}


def check(**columns):
    n = len(columns["clicked"])
    spec = FeatureSpec.from_yaml(SEVERAL)
    raw = {name: pa.array([1] * n) for name in spec.log_columns()} | columns
    _, checks = check_log(RawBatch(raw, np.arange(n), raw=str), spec)
    return [(r.row, r.column, r.reason) for r in checks.rejected()]


def test_a_label_may_be_missing_where_it_is_not_defined():
    bought = pa.array([None, None, 0, 3, 3, 11])
    assert check(clicked=pa.array([0, 1, 0, 0, 1, 1]), bought=bought) == [
        (1, "bought", MISSING),
        (3, "bought", WITHOUT_GIVEN),
        (5, "bought", OUT_OF_RANGE),
    ]


def test_a_labels_weight_may_be_missing_where_the_label_is_not_defined():
    weights = pa.array([None, None, -1, -1, 2])
    clicked = pa.array([0, 1, 0, 1, 1])
    assert check(clicked=clicked, bought=clicked, w_buy=weights) == [
        (1, "w_buy", MISSING),
        (2, "w_buy", NEGATIVE),
        (3, "w_buy", NEGATIVE),
    ]


def test_what_is_missing_is_no_positive():
    """Though 0 would reach the threshold."""
    from hgr_tf.features import Label
    from hgr_tf.pipelines.rows.targets import target_of

    label = Label(column="c", positive_at_least=-1, min=-5)
    table = pa.table({"/float32:c": pa.array([None, 0, -2], pa.float32())})
    assert target_of(table, label).tolist() == [0, 1, 0]
