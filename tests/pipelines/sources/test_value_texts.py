"""One value has one text, or none, whatever file it comes from."""

import datetime as dt
import io
import json
import uuid
from decimal import Decimal
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.features import Format
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import match
from hgr_tf.pipelines.reasons import OUT_OF_DAY, OUT_OF_TIME, REPEATED_KEY
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import Field
from hgr_tf.pipelines.rows.times import cast_times
from hgr_tf.pipelines.sources import plan_units, read_unit

DOCS = Path(__file__).parents[3] / "docs" / "pipelines.md"
ID = uuid.UUID("6BA7B810-9DAD-11D1-80B4-00C04FD430C8")
NOON = dt.datetime(2026, 1, 1, 12, 0, 0, 500_000)
MICROS = 1_767_268_800_500_000


def avro(path, kind, *values, base=None):
    """Writes a column "v" of an Avro type whose values are given as stored."""
    stored = {"type": "record", "name": "r", "fields": [{"name": "v", "type": base}]}
    record = {"type": "record", "name": "r", "fields": [{"name": "v", "type": kind}]}
    block, buffer = io.BytesIO(), io.BytesIO()
    for value in values:
        fastavro.schemaless_writer(block, stored if base else record, {"v": value})
    fastavro.writer(buffer, record, [], sync_marker=b"s" * 16)
    head = buffer.getvalue()
    data = block.getvalue()
    path.write_bytes(head + _long(len(values)) + _long(len(data)) + data + b"s" * 16)


def _long(number):
    encoded = io.BytesIO()
    fastavro.schemaless_writer(encoded, "long", number)
    return encoded.getvalue()


def read(path, reader, format_=None):
    """A column "v" read by `reader(array)`: values and (row, reason) of bad ones."""
    values, bad = {}, []
    for unit in plan_units(match(str(path))[0], 0, format_ or Format(), ["v"]):
        for batch in read_unit(unit, ["v"]):
            result = reader(batch.columns["v"])
            rows = batch.rows.tolist()
            values |= dict(zip(rows, result.values.to_pylist(), strict=True))
            bad += [(r.row, r.reason) for r in batch.rejected]
            for reason, mask in result.bad:
                bad += [(rows[i], reason) for i in np.flatnonzero(mask)]
    return [value for _, value in sorted(values.items())], bad


def as_text(array):
    return cast(array, Field("v", "string"), ())


def logical(base, name, **more):
    return {"type": base, "logicalType": name, **more}


def texts_of(tmp_path, parquet=None, avro_=None, jsonl=None, csv=None):
    """The text of one value from each format that has it."""
    found = {}
    if parquet is not None:
        pq.write_table(pa.table({"v": parquet}), tmp_path / "v.parquet")
        found["parquet"] = read(tmp_path / "v.parquet", as_text)
        pq.write_table(pa.table({"v": _in_lists(parquet)}), tmp_path / "l.parquet")
        field = Field("v", "string", delimiter="\x00")
        ((elements,), bad) = read(
            tmp_path / "l.parquet", lambda array: cast(array, field, ())
        )
        found["parquet list"] = (elements, bad)
    if avro_ is not None:
        kind, value, *base = avro_
        avro(tmp_path / "v.avro", kind, value, base=base[0] if base else None)
        found["avro"] = read(tmp_path / "v.avro", as_text)
        optional = [["null", kind], value]
        if not base:
            avro(tmp_path / "n.avro", *optional)
            found["avro or null"] = read(tmp_path / "n.avro", as_text)
    if jsonl is not None:
        row = f'{{"v": {jsonl}}}\n'
        (tmp_path / "v.jsonl").write_text(row)
        found["jsonl"] = read(tmp_path / "v.jsonl", as_text)
        (tmp_path / "m.jsonl").write_text(row + '{"v": "x"}\n{"v": 1}\n')
        values, bad = read(tmp_path / "m.jsonl", as_text)
        found["jsonl beside others"] = (values[:1], bad)
    if csv is not None:
        (tmp_path / "v.csv").write_text(f"v\n{csv}\n")
        found["csv"] = read(tmp_path / "v.csv", as_text)
    return found


def _in_lists(array):
    return pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), array)


CASES = {
    "integer of any width": [
        (pa.array([77], pa.int8()), ("int", 77), "77", "77", "77"),
        (pa.array([77], pa.uint64()), ("long", 77), "77", "77", "77"),
        (pa.array([2**63], pa.uint64()), None, f"{2**63}", f"{2**63}", f"{2**63}"),
    ],
    "whole float below 2^53": [
        (pa.array([77.0], pa.float32()), ("float", 77.0), "77.0", None, "77"),
        (pa.array([2.0**33]), ("double", 2.0**33), "8589934592.0", None, "8589934592"),
        (pa.array([77], pa.float16()), ("float", 77.0), "77e0", None, "77"),
    ],
    "other float": [
        (pa.array([0.1], pa.float16()), ("float", 0.1), "0.1", "0.1", "0.1"),
        (pa.array([0.1], pa.float32()), ("double", 0.1), "0.1", "0.1", "0.1"),
        (pa.array([0.1]), (["float", "string"], 0.1), "0.1", "0.1", "0.1"),
        (pa.array([1e-7]), ("float", 1e-7), "1e-7", "1e-7", "1e-7"),
        (pa.array([1e21], pa.float32()), ("float", 1e21), "1e21", None, "1e+21"),
    ],
    "decimal": [
        (
            pa.array([Decimal(77)], pa.decimal128(38, 9)),
            (logical("bytes", "decimal", precision=38, scale=9), Decimal(77)),
            "77",
            "77",
            "77",
        ),
        (
            pa.array([Decimal("77.5")], pa.decimal256(60, 3)),
            (logical("bytes", "decimal", precision=9, scale=3), Decimal("77.500")),
            "77.50",
            "77.5",
            "77.5",
        ),
        (pa.array([Decimal("7700")], pa.decimal128(4, 0)), None, None, None, "7700"),
        (
            pa.array([Decimal("12.345678901")], pa.decimal128(20, 9)),
            # More digits than the precision says: as stored, never rounded.
            (
                logical("bytes", "decimal", precision=9, scale=9),
                (12_345_678_901).to_bytes(5, "big"),
                "bytes",
            ),
            None,
            None,
            "12.345678901",
        ),
        (
            pa.array([Decimal("1E-9")], pa.decimal128(20, 9)),
            (logical("bytes", "decimal", precision=9, scale=9), Decimal("1E-9")),
            None,
            None,
            "0.000000001",
        ),
    ],
    "boolean": [
        (pa.array([True]), ("boolean", True), "true", "true", "true"),
        (pa.array([False]), ("boolean", False), "false", "false", "false"),
        (
            pa.ExtensionArray.from_storage(pa.bool8(), pa.array([5], pa.int8())),
            None,
            None,
            None,
            "true",
        ),
    ],
    "point in time": [
        (pa.array([NOON], pa.timestamp(unit, zone)), value, None, None, text)
        for unit, zone, value, text in (
            (
                "us",
                None,
                (logical("long", "timestamp-micros"), MICROS, "long"),
                "2026-01-01T12:00:00.5",
            ),
            (
                "ms",
                "Asia/Shanghai",
                (logical("long", "local-timestamp-millis"), MICROS // 1000, "long"),
                "2026-01-01T12:00:00.5",
            ),
            (
                "ns",
                "UTC",
                (logical("long", "timestamp-nanos"), MICROS * 1000, "long"),
                "2026-01-01T12:00:00.5",
            ),
        )
    ],
    "date": [
        (
            pa.array([NOON.date()], kind),
            (logical("int", "date"), NOON.date()),
            None,
            "2026-01-01",
            "2026-01-01",
        )
        for kind in (pa.date32(), pa.date64())
    ],
    "time of day": [
        (
            pa.array([43_200_500_000], pa.int64()).cast(pa.time64("us")),
            (logical("long", "time-micros"), 43_200_500_000, "long"),
            None,
            None,
            "12:00:00.5",
        ),
        (
            pa.array([43_200_500], pa.int32()).cast(pa.time32("ms")),
            (logical("int", "time-millis"), 43_200_500, "int"),
            None,
            None,
            "12:00:00.5",
        ),
    ],
    "duration": [
        (pa.array([n], pa.duration(unit)), None, None, None, text)
        for unit, n, text in (
            ("s", 90, "90"),
            ("ms", 1500, "1.5"),
            ("ns", -1, "-0.000000001"),
            ("us", -(2**63), "-9223372036854.775808"),
        )
    ],
    "UUID": [
        (
            pa.array([ID.bytes], pa.uuid()),
            (logical("string", "uuid"), str(ID).upper(), "string"),
            None,
            None,
            str(ID),
        ),
        (
            pa.array([str(ID)]),
            (
                {"type": "fixed", "size": 16, "name": "id", "logicalType": "uuid"},
                ID.bytes,
                {"type": "fixed", "size": 16, "name": "id"},
            ),
            f'"{ID}"',
            str(ID),
            str(ID),
        ),
    ],
    "text, JSON, bytes of UTF-8": [
        (pa.array([t]), ("string", t), json.dumps(t), t, t)
        for t in ("0123", "123.0", "True", "é", "1e3", "nan")
    ]
    + [
        (
            pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}'])),
            ("bytes", b'{"a": 1}'),
            None,
            None,
            '{"a": 1}',
        ),
        (pa.array([b"ab"], pa.binary(2)), ("bytes", b"ab"), '"ab"', "ab", "ab"),
        (pa.array(["ab"]).dictionary_encode(), None, None, None, "ab"),
    ],
}


@pytest.mark.parametrize(
    "case", [c for cases in CASES.values() for c in cases], ids=lambda c: str(c[-1])
)
def test_a_value_has_one_text_from_every_format(tmp_path, case):
    *by_format, text = case
    found = texts_of(tmp_path, *by_format)
    assert found == dict.fromkeys(found, ([text], []))


def test_the_table_of_texts_tells_every_kind():
    lines = DOCS.read_text().split("| value | example | text |")[1].splitlines()[2:]
    rows = [line.split("|")[1:4] for line in lines[: lines.index("")]]
    told = {kind.strip(): (text.strip().strip("`")) for kind, _, text in rows}
    assert told.keys() == CASES.keys()
    for kind, text in told.items():
        assert text in [case[-1] for case in CASES[kind]], kind


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("name", ["parquet", "int96", "avro"])
@pytest.mark.parametrize("time_unit", ["s", "ms", "us", "ns"])
def test_times_never_wrap(tmp_path, unit, name, time_unit):
    moments = [NOON, dt.datetime(9999, 12, 31), dt.datetime(1, 1, 1), None]
    moments += [dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)]
    if unit == "ns":
        moments = [m for m in moments if m is None or 1900 < m.year < 2200]
    times = pa.array(moments, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
    kept = times.cast(pa.int64()).to_pylist()
    path = tmp_path / ("v.avro" if name == "avro" else "v.parquet")
    if name == "avro":
        kinds = {"ms": "timestamp-millis", "us": "timestamp-micros"}
        if unit not in kinds:
            unit, kept = "us", [n and n * 10**6 for n in kept if unit == "s"]
        kind = ["null", logical("long", kinds[unit])]
        avro(path, kind, *kept, base=["null", "long"])
    else:
        pq.write_table(
            pa.table({"v": times}),
            path,
            use_deprecated_int96_timestamps=name == "int96",
        )
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    field = Field("v", "int64")
    values, bad = read(path, lambda array: cast_times(array, field, (), time_unit))
    right = [n if n is None else n * per[time_unit] // per[unit] for n in kept]
    fits = [n is None or abs(n) < 2**63 for n in right]
    assert values == [n if ok else None for n, ok in zip(right, fits, strict=True)]
    assert bad == [(i, OUT_OF_TIME) for i, ok in enumerate(fits) if not ok]


def test_old_timestamps_beyond_every_unit_are_bad(tmp_path):
    path = tmp_path / "v.parquet"
    moments = [dt.datetime(2026, 1, 1), dt.datetime(2300, 1, 1)]
    pq.write_table(
        pa.table({"v": moments}),
        path,
        use_deprecated_int96_timestamps=True,
        use_dictionary=False,
        compression="none",
    )
    assert read(path, as_text) == (["2026-01-01T00:00:00", "2300-01-01T00:00:00"], [])
    julian = (moments[1] - dt.datetime(1970, 1, 1)).days + 2_440_588
    data = path.read_bytes()
    assert julian.to_bytes(4, "little") in data
    last = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data.replace(julian.to_bytes(4, "little"), last))
    assert read(path, as_text) == (["2026-01-01T00:00:00", None], [(1, OUT_OF_TIME)])


@pytest.mark.parametrize(
    ("kind", "number", "reason"),
    [
        (pa.timestamp("s"), 2**62, OUT_OF_TIME),
        (pa.timestamp("us"), -(2**62), OUT_OF_TIME),
        (pa.date32(), 2**31 - 1, OUT_OF_TIME),
        (pa.date64(), 2**62, OUT_OF_TIME),
        (pa.time32("s"), 86_400, OUT_OF_DAY),
        (pa.time64("us"), -1, OUT_OF_DAY),
    ],
    ids=str,
)
def test_times_without_a_text_are_bad(kind, number, reason):
    storage = pa.int32() if kind.bit_width == 32 else pa.int64()
    array = pa.array([0, number, None], storage).cast(kind)
    texts, bad = as_text(array)
    assert texts[0].is_valid and texts[1:].null_count == 2
    assert [(why, mask.tolist()) for why, mask in bad] == [
        (reason, [False, True, False])
    ]


FRACTIONS = ["1650000000.75", "-0.5", "7", "1.65e9", "-3.0", "9007199254740993.5"]
FLOORS = [1_650_000_000, -1, 7, 1_650_000_000, -3, 9_007_199_254_740_993]


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet", "decimal", "avro"])
def test_fractions_of_a_time_are_cut_off_towards_the_past(tmp_path, name):
    floats = list(map(float, FRACTIONS[:-1]))
    expected = FLOORS if name in ("csv", "decimal") else FLOORS[:-1]
    path = tmp_path / f"v.{name.replace('decimal', 'parquet')}"
    if name == "csv":
        path.write_text("\n".join(["v", *FRACTIONS]))
    elif name == "jsonl":
        path.write_text("\n".join(f'{{"v": {text}}}' for text in FRACTIONS[:-1]))
    elif name == "avro":
        avro(path, "double", *floats)
    else:
        exact = pa.array(map(Decimal, FRACTIONS), pa.decimal128(30, 3))
        pq.write_table(pa.table({"v": exact if name == "decimal" else floats}), path)
    field = Field("v", "int64")
    for unit in ("s", None):
        assert read(path, lambda a, u=unit: cast_times(a, field, (), u)) == (
            expected,
            [],
        )


def refused_files(tmp_path):
    storage = pa.array([b"x"])
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((1, 2)))
    opaque = pa.ExtensionArray.from_storage(
        pa.opaque(pa.binary(), "wkb", "maker"), storage
    )
    unknown = pa.field("v", pa.binary(), metadata={"ARROW:extension:name": "my.type"})
    tables = {
        "arrow.opaque": pa.table({"v": opaque}),
        "arrow.fixed_shape_tensor": pa.table({"v": tensor}),
        "my.type": pa.table([storage], pa.schema([unknown])),
    }
    for name, table in tables.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path)
        yield name, path
    fixed = {"type": "fixed", "size": 12, "name": "d"}
    for name, kind, value, base in (
        ("duration", {**fixed, "logicalType": "duration"}, b"x" * 12, fixed),
        ("big-decimal", logical("bytes", "big-decimal"), b"x", "bytes"),
        ("a union of", [logical("long", "timestamp-micros"), "string"], 5, None),
    ):
        path = tmp_path / f"{name}.avro"
        avro(path, kind, value, base=base)
        yield name, path


def test_types_without_a_text_are_refused_by_name(tmp_path):
    for name, path in refused_files(tmp_path):
        with pytest.raises(PrepareError, match=rf"column 'v' is .*{name}"):
            read(path, as_text)
        assert plan_units(match(str(path))[0], 0, Format(), [])


@pytest.mark.parametrize("name", ["parquet", "csv", "avro"])
def test_two_columns_of_one_name_are_refused_where_one_is_needed(tmp_path, name):
    path = tmp_path / f"log.{name}"
    if name == "parquet":
        columns = [pa.array([i]) for i in range(3)]
        pq.write_table(pa.Table.from_arrays(columns, ["v", "v", "w"]), path)
    elif name == "csv":
        path.write_text("v,v,w\n0,1,2\n")
    else:
        fields = [{"name": n, "type": "int"} for n in ("v", "x", "w")]
        with path.open("wb") as file:
            schema = {"type": "record", "name": "r", "fields": fields}
            fastavro.writer(file, schema, [{"v": 0, "x": 1, "w": 2}])
        path.write_bytes(path.read_bytes().replace(b'"x"', b'"v"'))
    with pytest.raises(PrepareError, match=r"must differ, got \['v'\] twice"):
        plan_units(match(str(path))[0], 0, Format(), ["v", "w"])
    (unit,) = plan_units(match(str(path))[0], 0, Format(), ["w"])
    (batch,) = read_unit(unit, ["w"])
    assert as_text(batch.columns["w"]).values.to_pylist() == ["2"]


def test_a_key_of_json_that_comes_twice_is_bad(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [
        '{"v": 1}',
        '{"v": 1, "v": 2}',
        '{"w": 1}',
        r'{"v": 1, "\u0076": 2}',
        '{"v": "v", "w": {"v": 3}}',
        '{"v": 1, "w": 1, "w": 2}',
    ]
    path.write_text("\n".join(lines))
    values, bad = read(path, as_text)
    assert values == ["1", None, "v", "1"]
    assert bad == [(1, REPEATED_KEY), (3, REPEATED_KEY)]
