"""Files as other programs leave them: folders, encodings, escapes."""

import gzip
import json

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zstandard import ZstdCompressor

from hgr_tf.features import Format
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import match
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import Field
from hgr_tf.pipelines.sources import csv, lines, plan_units, read_unit

FORMATS = ("parquet", "csv", "jsonl", "avro")


def write(folder, name, rows, file="part-0"):
    """Rows, dicts of integers, in a file of the format called `name`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file}.{name}"
    if name == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name == "csv":
        texts = [",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]
        path.write_text("\n".join(texts))
    elif name == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        fields = [{"name": name, "type": "int"} for name in rows[0]]
        with path.open("wb") as out:
            schema = {"type": "record", "name": "r", "fields": fields}
            fastavro.writer(out, schema, rows)
    return path


def read(path, columns, format_=None):
    """Rows of texts, and the reasons of rejected ones."""
    rows, rejected = [], []
    for unit in plan_units(match(str(path))[0], 0, format_ or Format(), columns):
        for batch in read_unit(unit, columns):
            casts = [cast(batch.columns[c], Field(c, "string"), ()) for c in columns]
            texts = [c.values.to_pylist() for c in casts]
            rows += zip(batch.rows.tolist(), *texts, strict=True)
            rejected += batch.rejected
    return [row[1:] for row in sorted(rows)], [r.reason for r in rejected]


@pytest.mark.parametrize("name", FORMATS)
def test_folders_named_as_hive_names_them_give_columns(tmp_path, name):
    folder = tmp_path / "log.dir" / "dt=2026-01-01" / "city=S%C3%A3o%2FPaulo" / "x="
    path = write(folder, name, [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    rows, rejected = read(path, ["dt", "a", "city", "x"])
    assert rows == [("2026-01-01", a, "São/Paulo", None) for a in ("1", "3")]
    assert rejected == []
    null = write(tmp_path / "dt=__HIVE_DEFAULT_PARTITION__", name, [{"a": 1}])
    assert read(null, ["dt", "a"]) == ([(None, "1")], [])


@pytest.mark.parametrize("name", ["parquet", "csv", "avro"])
def test_a_column_of_the_file_wins_over_that_of_its_folder(tmp_path, name):
    path = write(tmp_path / "a=9", name, [{"a": 1}])
    assert read(path, ["a"]) == ([("1",)], [])


@pytest.mark.parametrize("name", ["csv", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("zipped", [False, True])
def test_wide_text_is_called_so(tmp_path, name, encoding, zipped):
    path = write(tmp_path, name, [{"a": 1, "b": i} for i in range(9)])
    data = path.read_text().encode(encoding)
    path = path.rename(f"{path}.gz") if zipped else path
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(PrepareError, match="expected UTF-8 text, got UTF-16"):
        read(path, ["a"])


@pytest.mark.parametrize("name", ["csv", "jsonl"])
@pytest.mark.parametrize("kind", ["gzip", "Zstandard", "Parquet", "Avro"])
def test_what_is_no_text_is_called_so(tmp_path, name, kind):
    path = tmp_path / f"log.{name}"
    if kind == "gzip":
        path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    elif kind == "Zstandard":
        path.write_bytes(ZstdCompressor().compress(b"a,b\n1,2\n"))
    else:
        write(tmp_path, kind.lower(), [{"a": 1}]).rename(path)
    with pytest.raises(PrepareError, match=f"expected text, got {kind}"):
        read(path, ["a"])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_header_with_another_delimiter_tells_of_the_option(tmp_path, delimiter):
    path = tmp_path / "log.csv"
    path.write_text(delimiter.join("ab") + "\n" + delimiter.join("12") + "\n")
    with pytest.raises(PrepareError, match=r"set `format: \{delimiter: ") as error:
        read(path, ["a"])
    assert repr(delimiter) in str(error.value)
    assert read(path, ["a"], Format(delimiter=delimiter)) == ([("1",)], [])


ESCAPED = Format(escape="\\")


@pytest.mark.parametrize("newlines", [False, True])
def test_backslash_escapes_as_spark_writes_them(tmp_path, newlines):
    path = tmp_path / "log.csv"
    rows = [r'"say \"hi\", you",1', r'"C:\\",2', r"a\,b,3", '"do""ble",4']
    rows += [r'"\\\"",5', "plain,6"]
    path.write_text("\n".join(["a,b", *rows]))
    format_ = Format(escape="\\", newlines_in_values=newlines)
    texts = ['say "hi", you', "C:\\", "a,b", 'do"ble', '\\"', "plain"]
    found = [(text, str(i + 1)) for i, text in enumerate(texts)]
    assert read(path, ["a", "b"], format_) == (found, [])


def test_an_escaped_quote_closes_no_value_of_several_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('a,b\n"one \\",\ntwo",1\n"\\\\",2\n')
    format_ = Format(escape="\\", newlines_in_values=True)
    assert read(path, ["a", "b"], format_) == ([('one ",\ntwo', "1"), ("\\", "2")], [])


def test_a_line_that_ends_in_an_escape_costs_itself(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,x\n2,y\\\n3,z\n4,\\")
    rows, rejected = read(path, ["a", "b"], ESCAPED)
    assert rows == [("1", "x"), ("3", "z")] and len(rejected) == 2


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.lists(st.text(alphabet='a,"\\\n', max_size=10), max_size=20),
    newlines=st.booleans(),
)
def test_no_line_with_escapes_is_ever_lost(tmp_path, body, newlines):
    path = tmp_path / "log.csv"
    path.write_bytes("\n".join(body).encode())
    format_ = Format(
        header=False, columns=("a", "b"), escape="\\", newlines_in_values=newlines
    )
    rows, rejected = read(path, ["a", "b"], format_)
    starts, _ = lines.split_lines(path.read_bytes(), csv.quoting_of(format_))
    assert len(rows) + len(rejected) == len(starts)


@pytest.mark.parametrize(
    "wrong", [{"escape": '"'}, {"escape": ","}, {"escape": "é"}, {"delimiter": "::"}]
)
def test_escapes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must (be|differ)|needs a delimiter"):
        Format(**({"escape": "\\"} | wrong))
