"""Kinds of features from end to end: prepared, trained, exported, predicted."""

import csv

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf.data import PreparedData
from hgr_tf.export.inputs.log_rows import read_rows
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.saving.writer import write
from hgr_tf.features import USER
from hgr_tf.pipelines.run import prepare
from hgr_tf.rankers import mlp_ranker

SPEC = """
name: kinds
user_id: user
item_id: item
label: click
user:
  user: {type: categorical}
  clicked: {type: multi_hashed, num_buckets: 50, delimiter: "|", max_length: 3}
  likes: {type: weighted_categorical, max_length: 4, min_count: 2}
item:
  item: {type: categorical}
  brand: {type: categorical}
  user_brand: {type: cross, of: [user, brand], num_buckets: 100}
  text_vector: {type: vector, size: 3, delimiter: ";"}
tables:
  item: {key: item, path: items.csv}
"""
OPTIONS = {
    "user": {"dropout": 0.5, "dim": 4},
    "clicked": {"pooling": "max"},
    "likes": {"pooling": "sum"},
}


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("kinds"), np.random.default_rng(0)
    (folder / "spec.yaml").write_text(SPEC)
    vectors = {f"i{i}": f"{i / 7};{-i};0.5" for i in range(9)}
    brands = {item: f"b{place % 3}" for place, item in enumerate(vectors)}
    items = [{"item": "none", "text_vector": "", "brand": ""}]
    items += [
        {"item": i, "text_vector": v, "brand": brands[i]} for i, v in vectors.items()
    ]
    short = {"item": "short", "text_vector": "1;2", "brand": ""}
    write_csv(folder / "items.csv", [*items, short])
    rows = [
        {
            "user": f"u{rng.integers(8)}",
            "item": rng.choice([*vectors, "none", "unknown"]),
            "likes": rng.choice(["a:0.5,b", "b:2,c:-1,a:0.25,d", "rare:9", ""]),
            "clicked": "|".join(rng.choice(list("abcdefgh"), rng.integers(5))),
            "click": rng.integers(2),
        }
        for _ in range(300)
    ]
    write_csv(folder / "log.csv", [*rows, {**rows[0], "likes": "a:many"}])
    raw = [
        {
            **row,
            "text_vector": vectors.get(row["item"], ""),
            "brand": brands.get(row["item"], ""),
        }
        for row in rows
    ]
    write_csv(folder / "raw.csv", raw)
    prepare(
        folder / "spec.yaml",
        [f"train={folder / 'log.csv'}"],
        folder / "prepared",
        max_bad_fraction=0.2,
    )
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    data = PreparedData.load(folder / "prepared")
    tf.keras.utils.set_random_seed(1)
    ranker = mlp_ranker(data.encoding, hidden_units=(8,), features=OPTIONS)
    model = hgr_tf.HierarchicalGroupwiseRanker(
        ranker,
        user_embedding="user_embedding",
        quantizer=hgr_tf.layers.ResidualVectorQuantizer(2, 4),
        ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(2),
    )
    model.compile("adam")
    model.fit(data.dataset("train", 64), epochs=2, verbose=0)
    write(ranker, folder / "export", data.encoding)
    return data, ranker


def test_a_vector_of_another_size_and_a_weight_of_text_are_dead_letters(
    folder, trained
):
    letters = "".join(p.read_text() for p in (folder / "prepared").glob("dead_*"))
    assert "not 3 numbers" in letters
    assert "no finite numbers" in letters


def test_raw_rows_score_as_prepared_rows_do(folder, trained):
    data, ranker = trained
    expected = []
    for features, _ in data.dataset("train", 100):
        features.pop(USER)
        expected += tf.sigmoid(ranker(features, training=False))[:, 0].numpy().tolist()
    rows = next(read_rows(folder / "raw.csv", data.encoding.spec))
    assert rows.errors == [None] * 300
    session = ServingSession(folder / "export")
    scores = session.call("serving_default", rows.inputs)["probabilities"]
    # Prepared rows are shuffled.
    np.testing.assert_allclose(np.sort(scores), np.sort(expected), atol=1e-6)
    ranked = {
        f.name: rows.inputs[f.name][None, :20]
        if f.owner == "item"
        else rows.inputs[f.name][:1]
        for f in data.encoding.spec.given_features()
    }
    one_user = {
        name: np.repeat(v, 20, axis=0) if len(v) == 1 and v.ndim == 1 else v[0]
        for name, v in ranked.items()
    }
    np.testing.assert_allclose(
        session.call("rank", ranked)["probabilities"][0],
        session.call("serving_default", one_user)["probabilities"],
        atol=1e-6,
    )


@pytest.mark.slow
def test_tfrecords_hold_what_columns_hold(folder, trained):
    prepare(
        folder / "spec.yaml",
        [f"train={folder / 'log.csv'}"],
        folder / "records",
        max_bad_fraction=0.2,
        output_format="tfrecord",
    )
    columns, records = (
        {name: np.asarray(value) for name, value in batch.items()}
        for prepared in ("prepared", "records")
        for batch, _ in PreparedData.load(folder / prepared).dataset("train", 1000)
    )
    assert {"likes", "likes_weight", "user_brand"} <= set(columns)
    for name, expected in columns.items():
        np.testing.assert_array_equal(records[name], expected, err_msg=name)
