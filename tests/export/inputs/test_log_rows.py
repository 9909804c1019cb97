import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.export.inputs.log_rows import read_columns, read_rows
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.features import FeatureEncoding, FeatureSpec
from tests.export.models import ENCODING


def test_rows_of_different_shapes_and_errors_stay_in_order(tmp_path):
    lines = [
        json.dumps({"user": 1, "tags": [1, 2]}),
        json.dumps({"user": 2, "tags": "30"}),
        "not json",
        json.dumps({"user": 3, "tags": [1]}),
        json.dumps({"user": "abc"}),
        json.dumps({"user": 4}),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    (rows,) = read_rows(path, ENCODING.spec)
    assert rows.inputs["user"].tolist() == [1, 2, 3, 4]
    assert rows.inputs["tags"].tolist() == ["1,2", "30", "1", ""]
    assert [bool(error) for error in rows.errors] == [0, 0, 1, 0, 1, 0]
    assert rows.errors[4] == "user: not an integer"


RENAMED = FeatureSpec.from_yaml("""
name: shop
user_id: u
item_id: i
label: y
missing_values: ["1,2", "N/A"]
user:
  u: {type: categorical}
item:
  i: {type: categorical}
  category: {type: categorical, dtype: int64, column: category_id}
  tags: {type: multi_categorical, dtype: int64, max_length: 3}
  words: {type: multi_categorical, delimiter: "/", max_length: 3}
""")


def write(path, rows):
    columns = {key: None for row in rows for key in row}
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = [list(columns), *([row.get(c, "") for c in columns] for row in rows)]
        path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))


def logged(**values):
    return {"u": "a", "i": "b", "category_id": 1, "tags": "3", "words": "x", **values}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_feature_is_read_from_the_column_that_training_read(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    rows = [logged(category="Books", category_id=17), logged(category="Toys")]
    del rows[1]["category_id"]
    write(path, rows)
    (rows,) = read_rows(path, RENAMED)
    assert rows.errors == [None, None]
    assert rows.inputs["category"].tolist() == [17, np.iinfo(np.int64).min]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_feature_is_read_from_the_column_of_its_name_where_there_is_no_other(
    tmp_path, suffix
):
    path = tmp_path / f"rows.{suffix}"
    rows = [logged(category=17), logged(category=18)]
    for row in rows:
        del row["category_id"]
    write(path, rows)
    (rows,) = read_rows(path, RENAMED)
    assert rows.inputs["category"].tolist() == [17, 18]


def test_a_bad_value_is_told_with_the_column_it_is_in(tmp_path):
    write(tmp_path / "rows.csv", [logged(category_id="Books")])
    (rows,) = read_rows(tmp_path / "rows.csv", RENAMED)
    assert rows.errors == ["category_id: not an integer"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_without_rows_has_none(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    write(path, [logged(category_id=17)])
    if suffix == "parquet":
        pq.write_table(pq.read_table(path)[:0], path)
    else:
        header = path.read_text().splitlines(True)[: suffix == "csv"]
        path.write_text("".join(header))
    assert list(read_rows(path, RENAMED)) == []


def test_a_list_that_reads_as_a_missing_text_stays_a_list(tmp_path):
    rows = [
        logged(tags=[1, 2], words=["N", "A"]),
        logged(tags=[1, None, 2], words=["N/A"]),
        logged(tags=[2, 1], words=["N"]),
        logged(tags=[], words=None),
    ]
    write(tmp_path / "rows.parquet", rows)
    (read,) = read_rows(tmp_path / "rows.parquet", RENAMED)
    assert not any(read.errors)
    values = {"u": (), "i": (), "category": (), "tags": ("1", "2"), "words": ("N", "A")}
    encoding = FeatureEncoding(RENAMED, vocabularies=values)
    encoding.save(tmp_path)
    names = ["tags", "words"]
    features = RawFeatures(encoding, tmp_path / "vocabularies", names)
    encoded = features({name: read.inputs[name] for name in names})
    assert encoded["tags"].numpy().tolist() == [
        [2, 3, 0],
        [2, 3, 0],
        [3, 2, 0],
        [0, 0, 0],
    ]
    assert encoded["words"].numpy().tolist() == [
        [2, 3, 0],
        [0, 0, 0],
        [2, 0, 0],
        [0, 0, 0],
    ]


@pytest.mark.parametrize(
    ("row", "rows"),
    [("u,1,0,5", 1), ("u,1,5", 1), ("u,1", 1), ("", 0)],
    ids=["as logged", "no label", "features alone", "empty"],
)
def test_rows_without_a_header_may_lack_what_only_training_needs(tmp_path, row, rows):
    text = """
name: bare
user_id: user
item_id: item
label: click
time: t
format: {header: false, columns: [user, item, click, t]}
user: {user: {type: categorical}}
item: {item: {type: categorical}}
"""
    path = tmp_path / "rows.csv"
    path.write_text(row and f"{row}\n")
    read = list(read_rows(path, FeatureSpec.from_yaml(text)))
    assert [r.inputs["item"].tolist() for r in read] == [["1"]] * rows
    path.write_text("u\n")
    with pytest.raises(ValueError, match=r"the 4 values .* without the label 'click'"):
        list(read_rows(path, FeatureSpec.from_yaml(text)))


def test_pairs_are_made_of_columns_and_have_none_themselves(tmp_path):
    sections = RENAMED.model_dump(by_alias=True, exclude_none=True)
    sections["item"]["pair"] = {"type": "cross", "of": ["u", "i"], "num_buckets": 5}
    spec = FeatureSpec.model_validate(sections)
    write(tmp_path / "rows.jsonl", [logged(), logged(i=None)])
    (rows,) = read_rows(tmp_path / "rows.jsonl", spec)
    assert set(rows.inputs) == {"u", "i", "category", "tags", "words"}
    found = [batch["pair"] for batch in read_columns(tmp_path / "rows.jsonl", spec)]
    assert pa.concat_arrays(found).to_pylist() == ["a\x1fb", None]
