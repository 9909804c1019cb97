"""What a run says of inputs that are not what their spec takes them for."""

import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.learning import observation
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.running.configure import configure

SPEC = """
name: told
user_id: user
item_id: item
label: click
user: {user: {type: categorical}}
item: {item: {type: categorical}}
"""
ROWS = [f"u{i},{i % 3},{i % 2}" for i in range(8)]


def log(folder, rows=ROWS, name="log.csv", header="user,item,click"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(tmp_path, path, extra="", **arguments):
    spec = FeatureSpec.from_yaml(SPEC + extra)
    return prepare(spec, [str(path)], tmp_path / "out", **arguments)


def test_a_folder_stands_for_its_files_but_the_hidden_ones(tmp_path, caplog):
    folder = tmp_path / "log"
    days = [f"2026-01-0{i}" for i in (1, 2, 3)]
    for i, day in enumerate(days):
        log(folder / f"dt={day}", ROWS[2 * i : 2 * i + 2], "part-0.csv")
    for hidden in ("_SUCCESS", ".part-0.csv.crc", "_temporary/0.json", "dt=x/_tmp"):
        path = folder / hidden
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    extra = "time: dt\ntime_unit: s\ncontext: {dt: {type: categorical}}\n"
    extra += "split: {by: time, starts: {val: 2026-01-03}}\n"
    manifest = run(tmp_path, folder, extra)
    assert {name: split.rows for name, split in manifest.splits.items()} == {
        "train": 4,
        "val": 2,
    }
    vocabulary = (tmp_path / "out" / "vocabularies" / "dt.txt").read_text()
    assert vocabulary.split() == days[:2]
    spec = FeatureSpec.from_yaml(SPEC)
    for pattern in ("log/*", "log/*/*", "log/**"):
        files = configure(spec, [str(tmp_path / pattern)], tmp_path / "o").files
        assert [file.path.rpartition("/")[2] for file in files] == ["part-0.csv"] * 3
    empty = tmp_path / "log" / "_temporary"
    (empty / "0.json").unlink()
    with pytest.raises(PrepareError, match="no folder with files whose names do not"):
        configure(spec, [str(empty)], tmp_path / "o")


def test_a_table_may_be_a_folder(tmp_path):
    log(tmp_path / "users", [f"u{i},{i}" for i in range(8)], "part-0.csv", "user,age")
    (tmp_path / "users" / "_SUCCESS").write_text("")
    extra = "tables: {user: {key: user}}\n".replace("{key", "{max_unmatched: 0, key")
    spec = FeatureSpec.from_yaml(
        SPEC.replace("{user: {type: categorical}}", "{age: {type: numeric}}") + extra
    )
    users = tmp_path / "users"
    path = log(tmp_path)
    manifest = prepare(spec, [str(path)], tmp_path / "out", user_table=users)
    assert manifest.counters["rows_without_user"] == 0


TABLES = SPEC.replace("{user: {type: categorical}}", "{age: {type: numeric}}")


@pytest.mark.parametrize("join", ["side", "shuffle"])
def test_a_join_that_finds_nothing_stops_and_shows_a_key_of_each_side(tmp_path, join):
    path = log(tmp_path, [f"{i}.0,{i % 3},{i % 2}" for i in range(8)])
    table = tmp_path / "users.parquet"
    pq.write_table(pa.table({"id": range(8), "age": range(8)}), table)

    def prepared(more=""):
        spec = FeatureSpec.from_yaml(TABLES + f"tables: {{user: {{key: id{more}}}}}\n")
        return prepare(spec, [str(path)], tmp_path / "out", user_table=table, join=join)

    keys = r"8 of 8 rows .* the log has user '0\.0', the table id '0'"
    for more in ("", ", unmatched: reject"):
        with pytest.raises(PrepareError, match=keys):
            prepared(more)
    assert prepared(", max_unmatched: 1").counters["rows_without_user"] == 8


def test_a_join_that_finds_few_is_told(tmp_path, caplog):
    path = log(tmp_path)
    users = log(tmp_path, ["u0,1", "u1,2"], "users.csv", "user,age")
    spec = FeatureSpec.from_yaml(TABLES + "tables: {user: {key: user}}\n")
    with caplog.at_level(logging.WARNING, "hgr_tf.pipelines.run"):
        prepare(spec, [str(path)], tmp_path / "out", user_table=users)
    assert (
        "6 rows of 8 have no row in the user table: the log has user 'u2', the table "
        "user 'u0'" in caplog.text
    )


def test_a_declared_dtype_makes_ids_of_several_spellings_meet(tmp_path):
    path = log(tmp_path, [f"{i}.0,{i % 3},{i % 2}" for i in range(8)])
    table = tmp_path / "users.parquet"
    pq.write_table(pa.table({"user": range(8), "age": range(8)}), table)
    spec = FeatureSpec.from_yaml(
        SPEC.replace(
            "{user: {type: categorical}}",
            "{user: {type: categorical, dtype: int64}, age: {type: numeric}}",
        )
        + "tables: {user: {key: user}}\n"
    )
    manifest = prepare(spec, [str(path)], tmp_path / "out", user_table=table)
    assert manifest.counters["rows_without_user"] == 0


def test_what_most_bad_rows_ail_from_is_told_with_the_failure(tmp_path):
    path = log(tmp_path, ["a,1,yes", "b,2,no", "c,3"])
    message = r"bad \(100.00%\).*: column 'click': not a number, as in the row a,1,yes;"
    with pytest.raises(PrepareError, match=message):
        run(tmp_path, path)


def test_line_ends_in_values_are_told_of_with_their_option(tmp_path):
    path = log(tmp_path, ['"a', 'b",1,1', '"c', 'd",2,0'])
    message = r"malformed line, as in the row \"a \(.*newlines_in_values: true"
    with pytest.raises(PrepareError, match=message):
        run(tmp_path, path)


def test_a_split_that_gets_no_row_stops_the_run_with_the_times_it_read(tmp_path):
    rows = [f"{row},{1_767_225_600 + i}" for i, row in enumerate(ROWS)]
    path = log(tmp_path, rows, header="user,item,click,t")
    extra = "time: t\ntime_unit: ms\nsplit: {by: time, starts: {val: 2026-01-01}}\n"
    message = (
        r"no row is in 'val'; rows by split: \{'train': 8\}; read in 'ms' "
        r"\(`time_unit`\), times run from 1970-01-21 to 1970-01-21"
    )
    with pytest.raises(PrepareError, match=message):
        run(tmp_path, path, extra)


def test_a_run_of_one_split_says_so_and_counts_values_with_line_ends(tmp_path, caplog):
    path = tmp_path / "log.jsonl"
    users = ["a\nb", "c\rd", "e", "f"]
    rows = [{"user": user, "item": "i", "click": 1} for user in users]
    path.write_text("\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING, "hgr_tf.pipelines.run"):
        manifest = run(tmp_path, path)
    assert "every row is in 'train': the spec has no `split`" in caplog.text
    assert "2 values hold line ends" in caplog.text
    assert manifest.counters["values_with_line_ends"] == 2
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert statistics["features"]["user"]["with_line_ends"] == 2
    assert statistics["features"]["item"]["with_line_ends"] == 0


def test_rows_in_two_splits_are_explained(tmp_path, caplog):
    spec = FeatureSpec.from_yaml(SPEC)
    inputs = [f"train={log(tmp_path)}", f"val={log(tmp_path, ROWS[:3], 'val.csv')}"]
    with caplog.at_level(logging.WARNING, "hgr_tf.pipelines.run"):
        prepare(spec, inputs, tmp_path / "out")
    assert "3 rows are in two splits (rows_in_two_splits): they equal a row" in (
        caplog.text
    )


def test_more_values_than_a_worker_hands_on_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(observation, "MOST_BYTES", 99)
    told = r"most of them are 8 values of 'user': make it `hashed`"
    with pytest.raises(PrepareError, match=told):
        run(tmp_path, log(tmp_path))
