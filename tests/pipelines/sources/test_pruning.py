"""Files whose folders do not meet the conditions are not read."""

from typing import NamedTuple

import pytest

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.sources.pruning import prune


class At(NamedTuple):
    path: str


def kept(column, values, *conditions):
    files = [At(f"/logs/{column}={value}/part-0.parquet") for value in values]
    found = prune(files, conditions)
    return [value for value, f in zip(values, files, strict=True) if f in found]


DAYS = ["2025-12-31", "2026-01-01", "2026-01-02", "__HIVE_DEFAULT_PARTITION__"]


@pytest.mark.parametrize(
    ("condition", "right"),
    [
        ("dt>=2026-01-01", DAYS[1:3]),
        ("dt>2026-01-01", DAYS[2:3]),
        ("dt<=2026-01-01", DAYS[:2]),
        ("dt < 2026-01-01", DAYS[:1]),
        ("dt=2026-01-01", DAYS[1:2]),
        ("dt!=2026-01-01", [DAYS[0], DAYS[2]]),
    ],
)
def test_dates(condition, right):
    assert kept("dt", DAYS, condition) == right


def test_every_condition_must_hold():
    assert kept("dt", DAYS, "dt>=2026-01-01", "dt<2026-01-02") == [DAYS[1]]
    assert kept("dt", DAYS) == DAYS


def test_numbers_are_compared_as_numbers_and_texts_as_texts():
    assert kept("hour", ["05", "9", "10"], "hour>=9") == ["9", "10"]
    assert kept("hour", ["05", "9"], "hour=5") == ["05"]
    assert kept("city", ["Paris", "Rome", "5"], "city!=Rome") == ["Paris", "5"]
    assert kept("city", ["S%C3%A3o"], "city=São") == ["S%C3%A3o"]


def test_kinds_that_do_not_compare_are_refused():
    with pytest.raises(PrepareError, match="'20260101' is a number, and '2025-12-31'"):
        kept("dt", DAYS, "dt<20260101")


@pytest.mark.parametrize("text", ["dt", "dt==1", "=1", "dt=>1", "a<b<c", ""])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(PrepareError, match="--where must be a column of folders"):
        kept("dt", DAYS, text)


def test_a_file_in_no_such_folder_is_refused():
    with pytest.raises(PrepareError, match=r"lies in no folder day=\.\.\., got.*'dt'"):
        kept("dt", DAYS, "day>1")


def test_no_file_left_tells_what_there_is():
    told = r"none of the 2 files, whose folders have dt '2025-12-31' to '2026-01-01'"
    with pytest.raises(PrepareError, match=told):
        kept("dt", DAYS[:2], "dt>2026-01-01")
    with pytest.raises(PrepareError, match="whose folders have no dt"):
        kept("dt", DAYS[3:], "dt>2026-01-01")


def test_every_column_is_looked_for_even_where_another_condition_fails():
    with pytest.raises(PrepareError, match=r"lies in no folder typo="):
        kept("dt", DAYS, "dt>2030-01-01", "typo=1")
