import json

from export.rows import read_rows
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
