"""Train/serve parity from end to end: raw logs through the pipeline and the
ranker, against the same raw rows through the exported model."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.export.inputs.log_rows import read_rows
from hgr_tf.export.runtime.predictor import Predictor
from hgr_tf.export.saving.writer import write
from hgr_tf.features import USER, FeatureSpec
from hgr_tf.pipelines.run import prepare
from tests.export.models import SPEC, small_ranker

COLUMNS = [f.column for f in FeatureSpec.from_yaml(SPEC).features()] + ["click"]


def raw_rows(count=600, seed=0):
    rng = np.random.default_rng(seed)

    def one_of(*values):
        return values[rng.integers(len(values))]

    for i in range(count):
        yield {
            "user": str(i % 30 + 100),
            "city": one_of("Köln", "Paris", " Paris", "", "?", "New York"),
            "age": one_of("3", "0", "", "1e1", "-2.5", "17", "?"),
            "item": f"item-{i // 30}",
            "brand": one_of("x", "y", "", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "?"),
            "shelf": one_of("1", "2.0", "", "-7", "123456789012"),
            "price": one_of("1", "2.5", "0.99", "11", "", "nan"),
            "weight_g": one_of("0.1", "0.25", "", "-1.5e-1"),
            "tags": one_of("1,2", "", "3,?,1,2,2", "4.0,5", "99", "true,5"),
            "words": one_of("red|blue, dark", "", "a|b|c|d|e", "?|red"),
            "page": one_of("home", "search", "", "cart"),
            "click": str(rng.integers(2)),
        }


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    rows = list(raw_rows())
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            present = {k: v for k, v in row.items() if v != ""}
            file.write(json.dumps(present, ensure_ascii=False) + "\n")
    table = pa.table({k: [row[k] or None for row in rows] for k in COLUMNS})
    pq.write_table(table, folder / "rows.parquet")
    prepare(
        folder / "spec.yaml",
        [f"train={folder / 'rows.csv'}"],
        str(folder / "prepared"),
    )
    return folder


@pytest.fixture(scope="module")
def parity(logs):
    """Scores by (user, item) of the training path, and the exported model."""
    data = PreparedData.load(logs / "prepared")
    ranker = small_ranker(encoding=data.encoding)
    scores = {}
    for features, _ in data.dataset("train", 100):
        logits = ranker({k: v for k, v in features.items() if k != USER})
        probabilities = tf.sigmoid(logits[:, 0]).numpy()
        users, items = features["user"].numpy(), features["item"].numpy()
        scores |= dict(zip(zip(users, items, strict=True), probabilities, strict=True))
    write(ranker, logs / "model", data.encoding)
    return data.encoding, scores, logs / "model"


def test_a_list_whose_value_holds_the_delimiter_is_an_error_of_its_row(tmp_path):
    columns = {column: ["1", "1", "1"] for column in COLUMNS}
    columns["words"] = [["red"], ["a|b", "red"], None]
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    spec = FeatureSpec.from_yaml(SPEC)
    (batch,) = read_rows(tmp_path / "rows.parquet", spec)
    message = "words: a value of a list must not hold the delimiter '|', got 'a|b'"
    assert batch.errors == [None, message, None]
    assert batch.inputs["words"].tolist() == ["red", ""]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_raw_rows_score_in_the_exported_model_as_in_training(logs, parity, suffix):
    encoding, scores, model = parity
    predictor = Predictor(model)
    actual = []
    for batch in read_rows(logs / f"rows.{suffix}", encoding.spec):
        assert not any(batch.errors)
        actual.extend(predictor.probabilities(batch.inputs))
    users, items = (encoding.vocabularies[k] for k in ("user", "item"))
    expected = [
        scores[
            users.index(row["user"]) + encoding.first_vocabulary_id("user"),
            items.index(row["item"]) + encoding.first_vocabulary_id("item"),
        ]
        for row in raw_rows()
    ]
    assert len(set(expected)) > 300  # the rows do differ
    np.testing.assert_allclose(actual, expected, atol=1e-6)
