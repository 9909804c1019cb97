"""Train/serve parity of histories: raw logs through the pipeline and the ranker,
against histories made by a loop over the log through the exported model."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.export.inputs.log_rows import read_rows
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.runtime.predictor import Predictor
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.export.saving.writer import write
from hgr_tf.features import USER
from hgr_tf.pipelines.run import prepare
from tests.export.models import small_ranker
from tests.pipelines.histories import reference

SPEC = """
name: shop
user_id: user
item_id: item
label: click
time: t
missing_values: ["?"]
user: {user: {type: categorical, dtype: int64}}
item:
  item: {type: categorical, dtype: int64}
  brand: {type: categorical, oov_buckets: 2}
  tags: {type: multi_categorical, max_length: 2}
history:
  liked: {of: item, with: [brand, tags], where: {click: 1}, length: 4}
  seen: {of: brand, length: 3, newest_first: false}
counters: {rate: {by: user, windows: [all, 30], prior: 0.3}}
""".replace("click: 1", "label: 1")


def raw_rows(count=400, seed=0):
    rng = np.random.default_rng(seed)
    brand = ["x", "y", None, "?", "rare"]
    tags = ["a,b", "c", None, "b,a,c"]
    return [
        {
            "user": int(rng.integers(8)),
            "item": int(item),
            "brand": brand[item % 5],
            "tags": tags[item % 4],
            "click": int(rng.integers(2)),
            "t": i,
            "id": i,
            "tie": i,
            "split": "train",
        }
        for i, item in enumerate(rng.integers(0, 20, count).tolist())
    ]


def requests(rows, spec):
    """Raw values of a request for each row, by a loop over the log."""
    liked, seen = spec.history["liked"], spec.history["seen"]
    for row in rows:
        row["label"] = row["click"]
    likes = reference.history(rows, liked, lambda r: r["click"] == 1, 0, {})
    sights = reference.history(rows, seen, lambda r: True, 0, {})
    counts = {
        window: reference.counts(
            rows, spec.counters["rate"], ["user"], (0, 0), span, {}
        )
        for window, span in (("all", None), (30, 30))
    }
    for row in rows:
        request = {k: row[k] for k in ("user", "item", "brand", "tags")}
        for name in ("item", "brand", "tags"):
            request[f"liked_{name}"] = [e[name] for e in likes[row["id"]][::-1]]
        request["seen_brand"] = [e["brand"] for e in sights[row["id"]]]
        for window, found in counts.items():
            exposures, positives, labelled = found[row["id"]]
            request[f"rate_{window}_exposures"] = float(exposures)
            rate = reference.rate(positives, labelled, spec.counters["rate"])
            request[f"rate_{window}_rate"] = float(rate)
        yield row["id"], {k: v for k, v in request.items() if v is not None}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "spec.yaml").write_text(SPEC)
    rows = raw_rows()
    columns = ("user", "item", "brand", "tags", "click", "t")
    table = pa.table({c: [row[c] for row in rows] for c in columns})
    pq.write_table(table, folder / "log.parquet")
    prepare(folder / "spec.yaml", [str(folder / "log.parquet")], folder / "prepared")
    data = PreparedData.load(folder / "prepared")
    ranker = small_ranker(encoding=data.encoding)
    logits = {}
    numbered = data.dataset("train", 64)
    for features, _ in numbered:
        out = ranker({k: v for k, v in features.items() if k != USER})[:, 0].numpy()
        logits |= dict(zip(_fingerprints(features), out, strict=True))
    write(ranker, folder / "model", data.encoding)
    with (folder / "rows.jsonl").open("w") as file:
        for _, request in requests(rows, data.encoding.spec):
            file.write(json.dumps(request) + "\n")
    return folder, data.encoding, ranker, logits


def _fingerprints(features):
    names = sorted(set(features) - {USER})
    columns = [np.asarray(features[n]).reshape(len(features[USER]), -1) for n in names]
    return [tuple(row) for row in np.round(np.concatenate(columns, 1), 4).tolist()]


def test_raw_requests_score_as_the_prepared_rows_do(shop):
    folder, encoding, ranker, logits = shop
    (batch,) = read_rows(folder / "rows.jsonl", encoding.spec)
    assert not any(batch.errors)
    features = RawFeatures(encoding, folder / "prepared" / "vocabularies")
    encoded = features({k: _tensor(v) for k, v in batch.inputs.items()})
    encoded[USER] = encoded["user"]
    expected = np.array([logits[key] for key in _fingerprints(encoded)])
    del encoded[USER]
    np.testing.assert_allclose(ranker(encoded)[:, 0], expected, atol=1e-6)
    actual = Predictor(folder / "model").probabilities(batch.inputs)
    np.testing.assert_allclose(actual, tf.sigmoid(expected), atol=1e-6)
    assert len(np.unique(expected)) > 350


def _tensor(values):
    return tf.constant(values.tolist() if values.dtype == object else values)


def test_longer_histories_lose_their_oldest_and_shorter_ones_are_padded(shop):
    folder, encoding, *_ = shop
    names = [f.name for f in encoding.spec.features()]
    (example,) = SampleRequests(encoding, names, seed=5).examples(1)
    signature = tf.saved_model.load(str(folder / "model")).signatures["examples"]

    def score(change):
        changed = tf.train.Example.FromString(example.SerializeToString())
        change(changed.features.feature)
        inputs = tf.constant([changed.SerializeToString()])
        return float(signature(inputs=inputs)["probabilities"][0])

    expected = score(lambda slots: None)
    liked = list(example.features.feature["liked_item"].int64_list.value)
    seen = list(example.features.feature["seen_brand"].bytes_list.value)

    def with_lists(liked, seen):
        def change(slots):
            slots["liked_item"].int64_list.value[:] = liked
            slots["seen_brand"].bytes_list.value[:] = seen

        return score(change)

    assert with_lists([*liked, 7, 7], [b"x", *seen]) == expected
    assert with_lists([7, *liked], seen) != expected
    none = np.iinfo(np.int64).min
    assert with_lists(liked[:1], seen) == with_lists([liked[0], none, none], seen)
    assert with_lists(liked, seen[-1:]) == with_lists(liked, [b"", b"", seen[-1]])


@pytest.mark.parametrize(
    "history",
    [
        None,
        {"pooling": "attention"},
        {"pooling": "attention", "hidden_units": []},
        pytest.param({"pooling": "transformer"}, marks=pytest.mark.slow),
    ],
    ids=["mean", "attention", "dot products", "transformer"],
)
def test_rank_takes_a_history_once_and_scores_as_row_by_row(shop, history, tmp_path):
    folder, encoding, *_ = shop
    model = folder / "model"
    if history:
        model = tmp_path / "model"
        write(small_ranker(encoding=encoding, history=history), model, encoding)
    names = [f.name for f in encoding.spec.features()]
    items = {f.name for f in encoding.spec.features("item")}
    loaded = tf.saved_model.load(str(model))
    for count in (1, 3):
        raw = SampleRequests(encoding, names, seed=3).rank(count, 5)
        raw["liked_item"][2:] = np.iinfo(np.int64).min  # no event at all
        inputs = {name: _tensor(values) for name, values in raw.items()}
        ranked = loaded.signatures["rank"](**inputs)["probabilities"]
        rows = {
            name: tf.reshape(v, [-1]) if name in items else tf.repeat(v, 5, axis=0)
            for name, v in inputs.items()
        }
        scored = loaded.signatures["serving_default"](**rows)["probabilities"]
        np.testing.assert_allclose(
            tf.reshape(ranked, [-1]), scored, rtol=1e-5, atol=1e-6
        )


def test_examples_hold_histories_as_lists(shop):
    folder, encoding, *_ = shop
    names = [f.name for f in encoding.spec.features()]
    rows = SampleRequests(encoding, names, seed=4).raw(6)
    examples = SampleRequests(encoding, names, seed=4).examples(6)
    loaded = tf.saved_model.load(str(folder / "model"))
    texts = tf.constant([example.SerializeToString() for example in examples])
    found = loaded.signatures["examples"](inputs=texts)["probabilities"]
    raw = {name: _tensor(values) for name, values in rows.items()}
    scored = loaded.signatures["serving_default"](**raw)["probabilities"]
    np.testing.assert_allclose(found, scored, atol=1e-6)
