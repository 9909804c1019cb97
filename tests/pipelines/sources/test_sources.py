"""Any file, however broken: never a crash, never a lost row."""

import bz2
import datetime as dt
import gzip
import json

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import orc
from zstandard import ZstdCompressor

from hgr_tf.features import FeatureSpec, Format
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import match
from hgr_tf.pipelines.reasons import UNDECODABLE
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import Field
from hgr_tf.pipelines.rows.validation import check_log
from hgr_tf.pipelines.sources import avro, csv, lines, plan_units, read_unit
from hgr_tf.pipelines.sources.base import BATCH_ROWS
from tests.pipelines.conftest import SPEC

fuzz = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


COMPRESSORS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: ZstdCompressor(write_checksum=True).compress(data),
}


def read_all(path, format_=None, columns=("a", "b")):
    """Rows as dicts with their position, and the rejected ones."""
    rows, rejected = [], []
    for unit in plan_units(match(str(path))[0], 0, format_ or Format(), list(columns)):
        for batch in read_unit(unit, list(columns)):
            values = [batch.columns[c].to_pylist() for c in columns]
            rows += zip(batch.rows.tolist(), *values, strict=True)
            rejected += batch.rejected
    return rows, rejected


def values_of(path, dtype="string"):
    """Columns "a" and "b", a list, of each row, cast."""
    (unit,) = plan_units(match(str(path))[0], 0, Format(), [])
    fields = (Field("a", dtype), Field("b", dtype, delimiter="|"))
    rows = {}
    for batch in read_unit(unit, ["a", "b"]):
        casts = [cast(batch.columns[f.column], f, ()).values for f in fields]
        values = zip(*(values.to_pylist() for values in casts), strict=True)
        rows |= zip(batch.rows.tolist(), values, strict=True)
    return [row for _, row in sorted(rows.items())]


def csv_file(tmp_path, data, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


class TestCsv:
    def test_rows_keep_their_position_among_broken_ones(self, tmp_path):
        path = csv_file(tmp_path, b"a,b\n1,2\n3\n\n4,5\n6,7,8\n9,\n")
        rows, rejected = read_all(path)
        assert rows == [(0, b"1", b"2"), (2, b"4", b"5"), (4, b"9", b"")]
        assert [(r.row, r.reason, r.raw) for r in rejected] == [
            (1, "wrong number of columns", "3"),
            (3, "wrong number of columns", "6,7,8"),
        ]

    @pytest.mark.parametrize("where", ["first", "middle", "last"])
    def test_an_open_quote_costs_its_own_line_only(self, tmp_path, where):
        good = [f"{i},x" for i in range(1000)]
        at = {"first": 0, "middle": 500, "last": 1000}[where]
        broken = [*good[:at], '1,"open', *good[at:]]
        path = csv_file(tmp_path, "\n".join(["a,b", *broken]).encode())
        rows, rejected = read_all(path)
        assert [r[0] for r in rows] == [i for i in range(1001) if i != at]
        assert [(r.row, r.raw) for r in rejected] == [(at, '1,"open')]

    def test_quoted_delimiters_quotes_and_windows_line_ends(self, tmp_path):
        path = csv_file(
            tmp_path, b'\xef\xbb\xbfa,b\r\n"x,y","say ""hi"""\r\n\r\n1,2\r\n'
        )
        rows, rejected = read_all(path)
        assert rows == [(0, b"x,y", b'say "hi"'), (1, b"1", b"2")]
        assert not rejected

    def test_newlines_in_values_when_the_format_says_so(self, tmp_path):
        path = csv_file(tmp_path, b'a,b\n1,"two\nlines"\n3,4\n')
        rows, _ = read_all(path, Format(newlines_in_values=True))
        assert rows == [(0, b"1", b"two\nlines"), (1, b"3", b"4")]

    @pytest.mark.parametrize("odd", ['1,5" tv', '1,"open', '1,"a"b'])
    @pytest.mark.parametrize("block", [1 << 7, 1 << 20])
    def test_an_odd_quote_costs_its_own_line_only_among_values_of_several_lines(
        self, tmp_path, monkeypatch, odd, block
    ):
        monkeypatch.setattr(lines, "BLOCK_BYTES", block)
        good = [
            f'{i},"two\nlines, ""{i}"""' if i % 7 == 0 else f"{i},x" for i in range(99)
        ]
        for at in (0, 3, 50, 99):
            texts = [*good[:at], odd, *good[at:]]
            path = csv_file(tmp_path, "\n".join(["a,b", *texts]).encode())
            rows, rejected = read_all(path, Format(newlines_in_values=True))
            assert len(rows) + len(rejected) == 100
            assert [r.row for r in rejected] == ([at] if "open" in odd else [])
            values = {row: value.decode() for row, _, value in rows}
            assert values.get(at, '5" tv') in ('5" tv', "ab")
            assert all(
                values[i + (i >= at)] == f'two\nlines, "{i}"' for i in range(0, 99, 7)
            )

    def test_an_odd_quote_before_a_value_of_two_lines(self, tmp_path):
        path = csv_file(tmp_path, b'a,b\n1,"5 tv\n2,"nice\nthing"\n3,x\n')
        rows, rejected = read_all(path, Format(newlines_in_values=True))
        assert rows == [(1, b"2", b"nice\nthing"), (2, b"3", b"x")]
        assert [(r.row, r.raw) for r in rejected] == [(0, '1,"5 tv')]

    @pytest.mark.parametrize("data", [b"a,b\r1,2\r3,4\r", b"a,b,no\rte\n1,2,3\n"])
    @pytest.mark.parametrize(
        "format_",
        [Format(), Format(columns=("a", "b", "c")), Format(delimiter=",,")],
        ids=["names", "given names", "long delimiter"],
    )
    def test_lone_returns_in_a_header_are_refused(self, tmp_path, data, format_):
        path = csv_file(tmp_path, data)
        message = r"log\.csv: cannot be read: lines must end in \\n or \\r\\n"
        with pytest.raises(PrepareError, match=message):
            read_all(path, format_)

    def test_a_header_without_names_lacks_the_columns(self, tmp_path):
        path = csv_file(tmp_path, b"\n1,2\n")
        with pytest.raises(PrepareError, match=r"no column \['a', 'b'\]; it has \[\]"):
            read_all(path)

    def test_a_header_that_repeats_a_name_is_refused(self, tmp_path):
        path = csv_file(tmp_path, b"a,b,b\n1,2,3\n")
        with pytest.raises(PrepareError, match=r"must differ, got \['b'\] twice"):
            read_all(path)

    def test_delimiter_of_several_characters_and_latin_1(self, tmp_path):
        path = csv_file(tmp_path, "1::Amélie::x\n2::y\n".encode("latin-1"), "log.dat")
        format_ = Format(
            delimiter="::", header=False, columns=("a", "b", "c"), encoding="latin-1"
        )
        rows, rejected = read_all(path, format_)
        assert rows == [(0, b"1", "Amélie".encode())]
        assert [r.raw for r in rejected] == ["2::y"]

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    @pytest.mark.parametrize("newlines", [False, True])
    def test_delimiter_of_one_character_that_is_not_ascii(
        self, tmp_path, encoding, newlines
    ):
        path = csv_file(tmp_path, 'a§b\n1§"é"\n2\n3§\n'.encode(encoding))
        format_ = Format(delimiter="§", encoding=encoding, newlines_in_values=newlines)
        rows, rejected = read_all(path, format_)
        assert rows == [(0, b"1", '"é"'.encode()), (2, b"3", b"")]
        assert [r.raw for r in rejected] == ["2"]

    def test_quote_that_is_not_ascii_is_refused(self):
        with pytest.raises(ValueError, match=r"quote\n.*must be an ASCII character"):
            Format(quote="«")

    def test_units_share_out_every_line_once(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lines, "UNIT_BYTES", 50)
        monkeypatch.setattr(lines, "BLOCK_BYTES", 16)
        values = [str(i) * (i % 40) for i in range(100)]
        path = csv_file(
            tmp_path, "\n".join(["a,b", *(f"{v},1" for v in values)]).encode()
        )
        assert len(plan_units(match(str(path))[0], 0, Format(), [])) > 10
        rows, _ = read_all(path)
        assert [r[1].decode() for r in rows] == values

    @pytest.mark.parametrize("suffix", COMPRESSORS)
    def test_compressed(self, tmp_path, suffix):
        parts = map(COMPRESSORS[suffix], [b"a,b\n1,2\n", b"3,4\n"])
        path = csv_file(tmp_path, b"".join(parts), f"log.csv.{suffix}")
        assert read_all(path) == ([(0, b"1", b"2"), (1, b"3", b"4")], [])

    @pytest.mark.fault(
        "pipeline",
        "a compressed log is cut short",
        "the error names the file",
    )
    @pytest.mark.parametrize("suffix", COMPRESSORS)
    @pytest.mark.parametrize("cut", [5_000, -1])
    def test_compressed_and_truncated_is_an_error_that_names_the_file(
        self, tmp_path, suffix, cut
    ):
        data = b"a,b\n" + np.random.default_rng(0).bytes(9999)
        path = csv_file(tmp_path, COMPRESSORS[suffix](data)[:cut], f"log.csv.{suffix}")
        with pytest.raises(PrepareError, match=rf"log\.csv\.{suffix}: cannot be read"):
            read_all(path)

    @pytest.mark.fault(
        "pipeline",
        "a compressed log is damaged",
        "the error names the file",
    )
    @pytest.mark.parametrize("suffix", COMPRESSORS)
    def test_compressed_and_damaged_is_an_error_that_names_the_file(
        self, tmp_path, suffix
    ):
        data = bytearray(COMPRESSORS[suffix](b"a,b\n" + b"1,2\n" * 9999))
        data[15:25] = b"\xff" * 10
        path = csv_file(tmp_path, bytes(data), f"log.csv.{suffix}")
        with pytest.raises(PrepareError, match=rf"log\.csv\.{suffix}: cannot be read"):
            read_all(path)

    @fuzz
    @given(
        body=st.lists(
            st.text(alphabet='a1,"\n\r\x00\x1f é', max_size=12) | st.just("1,2"),
            max_size=30,
        ),
        undecodable=st.booleans(),
        newlines=st.booleans(),
        delimiter=st.sampled_from([",", ",,"]),
    )
    def test_no_line_is_ever_lost(
        self, tmp_path, body, undecodable, newlines, delimiter
    ):
        data = "\n".join(body).encode() + (b"\n\xff,\xfe" if undecodable else b"")
        path = csv_file(tmp_path, data)
        format_ = Format(
            header=False,
            columns=("a", "b"),
            newlines_in_values=newlines,
            delimiter=delimiter,
        )
        rows, rejected = read_all(path, format_)
        starts, _ = lines.split_lines(data, csv.quoting_of(format_))
        positions = sorted([r[0] for r in rows] + [r.row for r in rejected])
        assert positions == list(range(len(starts) if data else 0))


class TestJsonLines:
    def write(self, tmp_path, *rows):
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"".join(row + b"\n" for row in rows))
        return path

    def test_broken_lines_are_singled_out(self, tmp_path):
        good = [b'{"a": %d, "b": "x"}' % i for i in range(500)]
        bad = [b"{", b"[1]", b'{"a": {"c": 1}}', b'{"a": 1}{"a": 2}', b'{"a": "\xff"}']
        rows, rejected = read_all(self.write(tmp_path, *good[:250], *bad, *good[250:]))
        assert sorted(r[0] for r in rows) == [*range(250), *range(255, 505)]
        assert [(r.row, r.reason) for r in rejected] == [
            (250, "malformed JSON object"),
            (251, "malformed JSON object"),
            (253, "malformed JSON object"),
            (254, "malformed JSON object"),
            (252, "neither a value nor a list of values"),
        ]

    def test_a_byte_order_mark_is_no_part_of_the_first_row(self, tmp_path):
        path = self.write(tmp_path, b'\xef\xbb\xbf{"a": 1}', b'{"a": 2}')
        assert read_all(path) == ([(0, 1, None), (1, 2, None)], [])

    def test_text_that_looks_like_a_time_stays_text(self, tmp_path):
        path = self.write(tmp_path, b'{"a": "2022-04-10"}', b'{"a": "x", "b": 1}')
        rows, _ = read_all(path)
        assert rows == [(0, "2022-04-10", None), (1, "x", 1)]

    def test_large_integers_beside_fractions_keep_their_digits(self, tmp_path):
        path = self.write(tmp_path, b'{"a": 9007199254740993}', b'{"a": 0.5}')
        rows, _ = read_all(path)
        assert [r[1] for r in rows] == [b"9007199254740993", b"0.5"]

    @pytest.mark.parametrize("other", ['"x"', "7", "true"])
    def test_numbers_have_one_text_whatever_stands_beside_them(self, tmp_path, other):
        numbers = [1e10, 12345678901.0, 1e-5, 1e-7, 0.5, 2.0**60, -0.0]
        rows = [f'{{"a": {n}, "b": [{n}]}}'.encode() for n in numbers]
        row = f'{{"a": {other}, "b": ["y", {other}]}}'.encode()
        alone = values_of(self.write(tmp_path, *rows))
        beside = values_of(self.write(tmp_path, *rows, row))
        assert beside[:-1] == alone
        assert alone[0] == ("10000000000", ["10000000000"])

    def test_booleans_are_numbers_beside_any_value(self, tmp_path):
        rows = [b'{"a": true}', b'{"a": 0}', b'{"a": "oops"}', b'{"a": false}']
        path = self.write(tmp_path, *rows)
        assert values_of(path, "int64") == [(1, []), (0, []), (None, []), (0, [])]

    @fuzz
    @given(
        rows=st.lists(
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
                ),
                max_leaves=4,
            ).map(json.dumps)
            | st.text(alphabet='{}[]":,a1e.-', max_size=8),
            max_size=100,
        )
    )
    def test_no_line_is_ever_lost(self, tmp_path, rows):
        lines_ = [row.encode("utf-8", "surrogatepass") for row in rows if row]
        got, rejected = read_all(self.write(tmp_path, *lines_))
        positions = sorted([r[0] for r in got] + [r.row for r in rejected])
        assert positions == list(range(len(lines_)))


class TestAvro:
    SCHEMA = fastavro.parse_schema(
        {
            "type": "record",
            "name": "row",
            "fields": [
                {"name": "a", "type": ["null", "long", "double", "string", "bytes"]},
                {"name": "b", "type": ["null", {"type": "array", "items": "string"}]},
            ],
        }
    )

    @fuzz
    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {
                    "a": st.none()
                    | st.integers(-(2**63), 2**63 - 1)
                    | st.floats()
                    | st.text()
                    | st.binary(),
                    "b": st.none() | st.lists(st.text(), max_size=3),
                }
            ),
            max_size=50,
        )
    )
    def test_every_record_comes_back(self, tmp_path, rows):
        path = tmp_path / "log.avro"
        with path.open("wb") as file:
            fastavro.writer(file, self.SCHEMA, rows, sync_interval=100)
        got, rejected = read_all(path)
        assert sorted(r[0] for r in got) == list(range(len(rows))) and not rejected
        for at, _, tags in got:
            tags = tags and [t if isinstance(t, str) else t.decode() for t in tags]
            assert tags == rows[at]["b"]

    def write(self, path, rows):
        values = [{"a": i, "b": [str(i)]} for i in range(rows)]
        with path.open("wb") as file:
            fastavro.writer(file, self.SCHEMA, values, sync_interval=64)
        return path

    @pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
    def test_codecs(self, tmp_path, codec):
        if codec == "snappy":
            pytest.importorskip("cramjam")
        path = tmp_path / "log.avro"
        with path.open("wb") as file:
            fastavro.writer(file, self.SCHEMA, [{"a": 1, "b": ["x"]}] * 9, codec)
        rows, rejected = read_all(path)
        assert rows == [(i, 1, ["x"]) for i in range(9)] and not rejected

    def test_units_share_out_every_record_once(self, tmp_path, monkeypatch):
        monkeypatch.setattr(avro, "_UNIT_BYTES", 500)
        path = self.write(tmp_path / "log.avro", 300)
        units = plan_units(match(str(path))[0], 0, Format(), [])
        assert len(units) > 5
        rows, _ = read_all(path)
        assert [r[1] for r in rows] == list(range(300))

    def test_times_stay_times_beside_a_column_of_several_types(self, tmp_path):
        when = {"type": "long", "logicalType": "timestamp-millis"}
        fields = [
            {"name": "a", "type": when},
            {"name": "b", "type": ["long", "double"]},
        ]
        schema = {"type": "record", "name": "row", "fields": fields}
        path = tmp_path / "log.avro"
        with path.open("wb") as file:
            fastavro.writer(file, schema, [{"a": 5000, "b": 1}, {"a": 7000, "b": 0.5}])
        rows, _ = read_all(path)
        assert [r[1].timestamp() for r in rows] == [5, 7]

    def test_undecodable_text_costs_its_row_only(self, tmp_path):
        fields = [{"name": "a", "type": "string"}, {"name": "b", "type": "int"}]
        schema = {"type": "record", "name": "row", "fields": fields}
        path = tmp_path / "log.avro"
        with path.open("wb") as file:
            fastavro.writer(file, schema, [{"a": t, "b": 1} for t in ("é", "?!", "z")])
        path.write_bytes(path.read_bytes().replace(b"?!", b"a\xff"))
        (unit,) = plan_units(match(str(path))[0], 0, Format(), ["a", "b"])
        *_, batch = read_unit(unit, ["a", "b"])
        texts, bad = cast(batch.columns["a"], Field("a", "string"), ())
        assert texts.to_pylist() == ["é", None, "z"]
        assert [(reason, mask.tolist()) for reason, mask in bad] == [
            (UNDECODABLE, [False, True, False])
        ]
        assert json.loads(batch.raw(1)) == {"a": "a\udcff", "b": 1}

    def test_a_schema_that_is_no_record_is_refused(self, tmp_path):
        path = tmp_path / "log.avro"
        with path.open("wb") as file:
            fastavro.writer(file, "string", ["x"])
        message = (
            r'log\.avro: cannot be read: its schema must be a record, got "string"'
        )
        with pytest.raises(PrepareError, match=message):
            read_all(path)

    @pytest.mark.parametrize(
        ("base", "logical", "kind"),
        [
            ("long", "timestamp-millis", pa.timestamp("ms", "UTC")),
            ("long", "timestamp-micros", pa.timestamp("us", "UTC")),
            ("long", "local-timestamp-millis", pa.timestamp("ms")),
            ("int", "date", pa.date32()),
            ("int", "time-millis", pa.time32("ms")),
        ],
    )
    def test_times_that_python_cannot_hold_are_read_as_any_other(
        self, tmp_path, base, logical, kind
    ):
        largest = 2**63 - 1 if base == "long" else 2**31 - 1
        values = [5, None, largest, -largest]
        time = ["null", {"type": base, "logicalType": logical}]
        fields = [{"name": "a", "type": time}]
        path = tmp_path / "log.avro"
        with path.open("wb") as file:
            schema = {"type": "record", "name": "row", "fields": fields}
            fastavro.writer(file, schema, [{"a": value} for value in values])
        (unit,) = plan_units(match(str(path))[0], 0, Format(), ["a"])
        (batch,) = read_unit(unit, ["a"])
        numbers = batch.columns["a"].cast(pa.int32() if base == "int" else pa.int64())
        assert batch.columns["a"].type == kind and numbers.to_pylist() == values
        assert json.loads(batch.raw(2)) == {"a": largest}

    @fuzz
    @given(data=st.data())
    def test_a_file_cut_short_is_never_taken_for_a_whole_one(self, tmp_path, data):
        whole = self.write(tmp_path / "whole.avro", 40)
        with whole.open("rb") as file:
            blocks = [(b.offset, b.num_records) for b in fastavro.block_reader(file)]
        content = whole.read_bytes()
        size = data.draw(st.integers(0, len(content) - 1))
        path = tmp_path / "log.avro"
        path.write_bytes(content[:size])
        if size in dict(blocks):  # cannot be told from a shorter file
            rows, _ = read_all(path)
            assert len(rows) == sum(n for offset, n in blocks if offset < size)
        else:
            with pytest.raises(PrepareError, match=r"log\.avro: cannot be read"):
                read_all(path)

    @pytest.mark.fault(
        "pipeline",
        "bytes of a log are damaged",
        "rows, dead letters, or an error that names the file",
    )
    @fuzz
    @given(data=st.data())
    def test_damaged_bytes_give_rows_or_an_error_that_names_the_file(
        self, tmp_path, data
    ):
        path = self.write(tmp_path / "log.avro", 40)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        try:
            read_all(path)
        except PrepareError as error:
            assert str(path) in str(error)


class TestParquet:
    def test_row_groups_are_units(self, tmp_path):
        path = tmp_path / "log.parquet"
        table = pa.table({"a": range(10), "b": [str(i) for i in range(10)]})
        pq.write_table(table, path, row_group_size=4)
        units = plan_units(match(str(path))[0], 0, Format(), ["a"])
        assert [(u.start, u.end) for u in units] == [(0, 1), (1, 2), (2, 3)]
        rows, _ = read_all(path)
        assert [r[1] for r in rows] == list(range(10))

    def test_large_row_groups_come_in_batches(self, tmp_path):
        path = tmp_path / "log.parquet"
        pq.write_table(pa.table({"a": np.zeros(BATCH_ROWS + 1)}), path)
        (unit,) = plan_units(match(str(path))[0], 0, Format(), ["a"])
        sizes = [len(batch.rows) for batch in read_unit(unit, ["a"])]
        assert sizes == [BATCH_ROWS, 1]

    def test_not_parquet(self, tmp_path):
        path = csv_file(tmp_path, b"PAR1 but no more", "log.parquet")
        with pytest.raises(PrepareError, match=r"log\.parquet: cannot be read"):
            read_all(path)


class TestOrc:
    def test_stripes_are_units(self, tmp_path):
        path = tmp_path / "log.orc"
        n = 5_000
        table = pa.table({"a": np.arange(n), "b": [str(i) for i in range(n)]})
        orc.write_table(table, path, stripe_size=1, batch_size=1_024)
        units = plan_units(match(str(path))[0], 0, Format(), ["a"])
        assert len(units) > 1
        rows, _ = read_all(path)
        assert [row[1:] for row in rows] == [(i, str(i)) for i in range(n)]

    def test_large_stripes_come_in_batches(self, tmp_path):
        path = tmp_path / "log.orc"
        orc.write_table(pa.table({"a": np.arange(BATCH_ROWS + 1)}), path)
        (unit,) = plan_units(match(str(path))[0], 0, Format(), ["a"])
        batches = list(read_unit(unit, ["a"]))
        assert [b.rows.tolist() for b in batches] == [
            [*range(BATCH_ROWS)],
            [BATCH_ROWS],
        ]
        assert json.loads(batches[1].raw(0)) == {"a": BATCH_ROWS}

    def test_rows_are_those_of_parquet(self, tmp_path):
        moments = [dt.datetime(2026, 1, 1, 12, 0, 0, 500_000), None]
        table = pa.table(
            {
                "a": pa.array(moments, pa.timestamp("ns")),
                "b": pa.array([["x", None], []], pa.list_(pa.string())),
                "c": pa.array(["77.500", None]).cast(pa.decimal128(9, 3)),
                "d": pa.array([dt.date(2026, 1, 1), None]),
                "e": pa.array([True, None]),
                "f": pa.array([b"\xff", None]),
                "g.h": pa.array([0.1, None], pa.float32()),
            }
        )
        names = ("g.h", *"abcdef")
        orc.write_table(table, tmp_path / "log.orc")
        pq.write_table(table, tmp_path / "log.parquet")
        found, expected = (
            read_all(tmp_path / name, columns=names)
            for name in ("log.orc", "log.parquet")
        )
        assert found == expected

    def test_rows_whose_only_column_is_their_folder(self, tmp_path):
        folder = tmp_path / "dt=2026-01-01"
        folder.mkdir()
        orc.write_table(pa.table({"a": [1, 2]}), folder / "log.orc")
        day = dt.date(2026, 1, 1)
        assert read_all(folder / "log.orc", columns=("dt",))[0] == [(0, day), (1, day)]

    def test_a_time_that_arrow_cannot_hold_never_wraps(self, tmp_path):
        path = tmp_path / "log.orc"
        times = pa.array([dt.datetime(1, 1, 1)], pa.timestamp("us"))
        orc.write_table(pa.table({"a": times}), path)
        with pytest.raises(PrepareError, match=r"log\.orc: cannot be read: ORC timest"):
            read_all(path, columns=("a",))

    @pytest.mark.parametrize("keep", [3, 200])
    def test_a_file_cut_short_is_an_error_that_names_it(self, tmp_path, keep):
        path = tmp_path / "log.orc"
        orc.write_table(pa.table({"a": range(1_000), "b": range(1_000)}), path)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(PrepareError, match=r"log\.orc: cannot be read"):
            read_all(path)

    def test_a_column_that_comes_twice_is_refused(self, tmp_path):
        path = tmp_path / "log.orc"
        orc.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
        with pytest.raises(PrepareError, match="must differ"):
            read_all(path, columns=("a",))


def test_a_column_that_is_lacking_is_named(tmp_path):
    path = csv_file(tmp_path, b"a,c\n1,2\n")
    with pytest.raises(PrepareError, match=r"no column \['b'\]; it has \['a', 'c'\]"):
        read_all(path)


def test_a_name_that_tells_no_format(tmp_path):
    path = csv_file(tmp_path, b"a,b\n", "log.xyz")
    with pytest.raises(PrepareError, match="cannot tell its format"):
        read_all(path)


@fuzz
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                name: st.none()
                | st.sampled_from(["1", "0", "", "2.5", "nan", "1e99", "x"])
                for name in ("user", "item", "click", "age", "tags", "hour", "city")
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_row_is_good_or_explained(tmp_path, rows):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    spec = FeatureSpec.from_yaml(SPEC)
    good = bad = 0
    for unit in plan_units(match(str(path))[0], 0, spec.format, spec.log_columns()):
        for batch in read_unit(unit, spec.log_columns()):
            _, checks = check_log(batch, spec)
            good += int(checks.good.sum())
            bad += len(checks.rejected())
    assert good + bad == len(rows)
