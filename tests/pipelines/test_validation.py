"""Values that must not pass for others."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from hgr_tf.features import FeatureSpec
from pipelines.casting import NON_FINITE
from pipelines.sources import RawBatch
from pipelines.validation import OUT_OF_TIME, check_log
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
