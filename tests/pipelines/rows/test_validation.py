"""Values that must not pass for others."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.reasons import (
    NON_FINITE,
    NOT_INTEGER,
    NOT_LIST,
    NOT_NUMBER,
    NOT_SCALAR,
    OUT_OF_TIME,
    UNDECODABLE,
)
from hgr_tf.pipelines.rows.validation import check_log
from hgr_tf.pipelines.sources import RawBatch
from tests.pipelines.conftest import SPEC

YEAR_9999 = dt.datetime(9999, 12, 31, 23, 59, 59)


def check(spec=SPEC, **columns):
    """Which rows are good, and (row, column, reason) of the others."""
    spec = FeatureSpec.from_yaml(spec)
    n = len(next(iter(columns.values())))
    raw = {name: pa.nulls(n) for name in spec.log_columns()}
    raw |= {"user": pa.array(["u"] * n), "item": pa.array([1] * n)}
    raw |= {"click": pa.array([1] * n)} | columns
    batch = RawBatch(raw, np.arange(n), raw=str)
    table, checks = check_log(batch, spec)
    return table, [(r.row, r.column, r.reason) for r in checks.rejected()]


@pytest.mark.parametrize(
    ("unit", "good", "bad"),
    [
        ("s", [0, -62_135_596_800, 253_402_300_799], [1_650_000_000_000_000, -(2**63)]),
        ("ms", [1_650_000_000_000], [-62_135_596_800_001, 253_402_300_800_000]),
        ("us", [253_402_300_799_999_999], [253_402_300_800_000_000]),
        ("ns", [2**63 - 1], [-(2**63)]),
    ],
)
def test_times_outside_the_years_1_to_9999_are_bad(unit, good, bad):
    spec = SPEC + f"time: t\ntime_unit: {unit}\n"
    _, rejected = check(spec, t=pa.array([*good, *bad]))
    expected = range(len(good), len(good) + len(bad))
    assert rejected == [(row, "t", OUT_OF_TIME) for row in expected]


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("s"), pa.timestamp("us", "UTC"), pa.date32(), pa.date64()],
    ids=str,
)
@pytest.mark.parametrize("dictionary", [False, True])
def test_timestamps_that_the_unit_cannot_hold_are_bad(kind, dictionary):
    moments = [dt.datetime(2022, 4, 10), YEAR_9999, dt.datetime(1, 1, 1)]
    dates = [m.date() for m in moments]
    times = pa.array(dates if pa.types.is_date(kind) else moments, kind)
    times = times.dictionary_encode() if dictionary else times
    table, rejected = check(SPEC + "time: t\ntime_unit: ns\n", t=times)
    assert table["/int64:t"][0].as_py() == 1_649_548_800 * 10**9
    assert rejected == [(1, "t", OUT_OF_TIME), (2, "t", OUT_OF_TIME)]
    assert check(SPEC + "time: t\ntime_unit: us\n", t=times)[1] == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_ids_are_bad(value):
    users = pa.array([1.0, value, 2.5])
    table, rejected = check(user=users)
    assert table["/string:user"].to_pylist() == ["1", None, "2.5"]
    assert rejected == [(1, "user", NON_FINITE)]


def test_nan_ids_may_be_called_missing():
    spec = SPEC + "missing_values: [nan]\n"
    _, rejected = check(spec, user=pa.array([1.0, np.nan]))
    assert rejected == [(1, "user", "missing")]


@pytest.mark.parametrize("text", ["true", "False", "TRUE"])
def test_texts_of_booleans_are_numbers_as_booleans_are(text):
    number = float(text.lower() == "true")
    texts = pa.array([text, "1", "yes"])
    table, rejected = check(click=texts, item=texts, age=texts)
    numbers = ("float32:click", "int64:item", "float32:age")
    assert [table[f"/{name}"][0].as_py() for name in numbers] == [number] * 3
    assert rejected == [(2, "item", NOT_INTEGER)]
    _, rejected = check(click=texts)
    assert rejected == [(2, "click", NOT_NUMBER)]


def undecodable(kind):
    """An array ["1", undecodable text, "1"]; Arrow does not check it."""
    texts = pa.array([b"1", b"\xff1", b"1"], pa.large_binary())
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays([0, 1, 0], undecodable(kind.value_type))
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays([0, 1, 2, 3], undecodable(kind.value_type))
    if pa.types.is_string(kind):
        texts = texts.cast(pa.binary())
    return pa.Array.from_buffers(kind, 3, texts.buffers())


@pytest.mark.parametrize("column", ["user", "item", "click", "age", "city", "tags"])
@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int64(), pa.string())],
    ids=str,
)
def test_undecodable_text_is_bad_in_any_column(column, kind):
    _, rejected = check(**{column: undecodable(kind)})
    assert rejected == [(1, column, UNDECODABLE)]


def test_undecodable_text_is_bad_in_lists():
    table, rejected = check(tags=undecodable(pa.list_(pa.string())))
    assert rejected == [(1, "tags", UNDECODABLE)]
    assert table["/string[|]:tags"].to_pylist() == [["1"], [], ["1"]]


@pytest.mark.parametrize(
    "text", ["-999", "99999999999999999999", "--1", "-1e400", "true", "-"]
)
@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint32(), pa.uint64(), pa.bool_(), pa.float32()], ids=str
)
def test_a_missing_value_that_a_column_cannot_hold_is_in_no_row(text, kind):
    spec = SPEC + f"missing_values: ['{text}']\n"
    ones = pa.array([1, 0, 1]).cast(kind)
    table, rejected = check(spec, click=ones, item=ones, age=ones)
    assert rejected == []
    assert table["/float32:age"].to_pylist() == [1, 0, 1]


@pytest.mark.parametrize("text", ["-999.5", "-9995e-1"])
def test_a_missing_number_is_missing_in_columns_of_any_type(text):
    spec = SPEC + f"missing_values: ['{text}', '-7.0']\n"
    for ages in (["-999.5", "-7", "7"], [-999.5, -7.0, 7.0]):
        table, _ = check(spec, age=pa.array(ages))
        assert table["/float32:age"].to_pylist() == [None, None, 7]
    table, rejected = check(spec, item=pa.array([-999, -7, 7], pa.int16()))
    assert table["/int64:item"].to_pylist() == [-999, None, 7]
    assert rejected == [(1, "item", "missing")]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()], ids=str)
def test_whole_numbers_are_written_in_digits(kind):
    users = [2.0**33, -0.0, -(2.0**52), 0.5, 2.0**60, None]
    table, _ = check(user=pa.array(users, kind))
    texts = table["/string:user"].to_pylist()
    assert texts[:4] == ["8589934592", "0", "-4503599627370496", "0.5"]
    assert "e+18" in texts[4] and texts[5] is None


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.string(), 2), pa.large_list(pa.string()), pa.list_view(pa.string())],
    ids=str,
)
def test_lists_of_any_kind_are_lists(kind):
    table, rejected = check(tags=pa.array([["a", "b"], None, ["c", None]], kind))
    assert rejected == []
    assert table["/string[|]:tags"].to_pylist() == [["a", "b"], [], ["c"]]


def test_what_is_no_list_is_told_from_what_is_no_value():
    struct = pa.array([{"x": 1}, None])
    assert check(tags=struct)[1] == [(0, "tags", NOT_LIST)]
    assert check(age=struct)[1] == [(0, "age", NOT_SCALAR)]
