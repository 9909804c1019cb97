"""Splits: by time, by user, at random; overlaps, duplicates and sampling."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.errors import PrepareError
from tests.pipelines.conftest import examples

BASE = {
    "name": "splits",
    "user_id": "user",
    "item_id": "item",
    "label": "click",
    "time": "time",
    "time_unit": "s",
    "user": {"user": {"type": "categorical", "dtype": "int64"}},
    "item": {"item": {"type": "categorical", "dtype": "int64"}},
}


def spec_with(**sections):
    return FeatureSpec.model_validate(BASE | sections)


def write_log(path, users=40, rows_each=20, seed=0):
    rng = np.random.default_rng(seed)
    n = users * rows_each
    table = pa.table(
        {
            "user": np.repeat(np.arange(users), rows_each),
            "item": np.arange(n),
            "click": np.tile([1, 0], n // 2),
            "time": rng.integers(0, 3 * 86_400, n),
        }
    )
    pq.write_table(table, path, row_group_size=101)
    return str(path), table


def triples(folder, split):
    return {
        (e["__user__"], e["__item__"], e["__label__"]) for e in examples(folder, split)
    }


def test_by_time(run, tmp_path):
    log, table = write_log(tmp_path / "log.parquet")
    split = {"by": "time", "starts": {"val": "1970-01-02", "test": 2 * 86_400}}
    folder, manifest = run(spec_with(split=split), [log])
    for name, low, high in (("train", 0, 1), ("val", 1, 2), ("test", 2, 3)):
        times = [e["__time__"] for e in examples(folder, name)]
        assert all(low <= t // 86_400 < high for t in times)
    assert sum(s.rows for s in manifest.splits.values()) == table.num_rows


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("ms", "Asia/Shanghai"), pa.date32()]
)
def test_timestamps_count_in_the_unit_of_the_spec(run, tmp_path, kind):
    _, table = write_log(tmp_path / "log.parquet")
    days = pa.array(np.arange(table.num_rows) % 3, pa.int32()).cast(pa.date32())
    table = table.set_column(3, "time", days.cast(pa.timestamp("ms")).cast(kind))
    pq.write_table(table, tmp_path / "log.parquet")
    split = {"by": "time", "starts": {"val": "1970-01-02", "test": 2 * 86_400}}
    folder, manifest = run(spec_with(split=split), [str(tmp_path / "log.parquet")])
    assert [s.rows for s in manifest.splits.values()] == [267, 267, 266]
    assert {e["__time__"] for e in examples(folder, "test")} == {2 * 86_400}


def test_by_user_keeps_users_whole(run, tmp_path):
    log, _ = write_log(tmp_path / "log.parquet", users=200)
    split = {"by": "user", "fractions": {"train": 0.5, "test": 0.5}}
    folder, manifest = run(spec_with(split=split), [log])
    users = {n: {e["__user__"] for e in examples(folder, n)} for n in manifest.splits}
    assert not users["train"] & users["test"]
    assert 0.35 < len(users["train"]) / 200 < 0.65


def test_at_random_spreads_every_user_and_label_in_proportion(run, tmp_path):
    log, table = write_log(tmp_path / "log.parquet")
    split = {"by": "random", "fractions": {"train": 0.7, "val": 0.1, "test": 0.2}}
    folder, manifest = run(spec_with(split=split), [log])
    assert {n: s.rows for n, s in manifest.splits.items()} == {
        "train": 560,
        "val": 80,
        "test": 160,
    }
    by_stratum = Counter((u, y) for u, _, y in triples(folder, "train"))
    assert set(by_stratum.values()) == {7}
    parts = [triples(folder, name) for name in manifest.splits]
    assert sum(map(len, parts)) == len(set().union(*parts)) == table.num_rows


def test_equal_rows_are_never_split_apart(run, tmp_path):
    row = {"user": [1], "item": [1], "click": [1], "time": [1]}
    pq.write_table(pa.concat_tables([pa.table(row)] * 50), tmp_path / "log.parquet")
    split = {"by": "random", "fractions": {"train": 0.5, "test": 0.5}}
    _, manifest = run(
        spec_with(split=split, duplicates="count"), [str(tmp_path / "log.parquet")]
    )
    assert [s.rows for s in manifest.splits.values()] == [50]
    assert manifest.counters["rows_duplicate"] == 49


@pytest.mark.parametrize(
    ("policy", "rows"), [("keep", 25), ("count", 25), ("drop", 20)]
)
def test_duplicates(run, tmp_path, policy, rows):
    _, table = write_log(tmp_path / "log.parquet", users=1)
    table = pa.concat_tables([table, table.slice(3, 5)])
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=7)
    folder, manifest = run(
        spec_with(duplicates=policy), [str(tmp_path / "log.parquet")]
    )
    assert manifest.splits["train"].rows == rows
    assert manifest.counters["rows_good"] == 25
    assert manifest.counters.get("rows_duplicate") == (None if policy == "keep" else 5)
    assert len(examples(folder, "train")) == rows


def test_overlap_of_given_splits_is_counted_or_fails(run, tmp_path):
    _, table = write_log(tmp_path / "log.parquet", users=1)
    pq.write_table(table.slice(0, 12), tmp_path / "a.parquet")
    pq.write_table(table.slice(9, 11), tmp_path / "b.parquet")
    inputs = [f"train={tmp_path}/a.parquet", f"val={tmp_path}/b.parquet"]
    _, manifest = run(spec_with(), inputs)
    assert manifest.counters["rows_in_two_splits"] == 3
    with pytest.raises(PrepareError, match="3 rows are in two splits"):
        run(spec_with(overlap="fail"), inputs, name="other")


def test_one_file_in_two_splits_is_refused(run, tmp_path):
    log, _ = write_log(tmp_path / "log.parquet")
    with pytest.raises(PrepareError, match="given for 'train' and for 'val'"):
        run(spec_with(), [f"train={log}", f"val={log}"])


def test_sampled_negatives_keep_their_weight(run, tmp_path):
    log, table = write_log(tmp_path / "log.parquet", users=200)
    split = {"by": "time", "starts": {"val": 86_400}}
    folder, manifest = run(spec_with(negatives={"rate": 0.25}, split=split), [log])
    kept = examples(folder, "train")
    whole = [
        y
        for y, t in zip(table["click"], table["time"], strict=True)
        if t.as_py() < 86_400
    ]
    negatives = sum(y.as_py() == 0 for y in whole)
    weights = [e["__weight__"] for e in kept if e["__label__"] == 0]
    assert set(weights) == {4.0}
    assert sum(weights) == pytest.approx(negatives, rel=0.15)
    assert {e["__weight__"] for e in kept if e["__label__"] == 1} == {1.0}
    assert manifest.splits["train"].positives == len(whole) - negatives
    assert {e["__weight__"] for e in examples(folder, "val")} == {1.0}


def test_vocabulary_is_learned_from_train_alone(run, tmp_path):
    log, table = write_log(tmp_path / "log.parquet")
    split = {"by": "time", "starts": {"val": 86_400}}
    folder, _ = run(spec_with(split=split), [log])
    words = (folder / "vocabularies" / "item.txt").read_text().split()
    early = table.filter(pa.compute.less(table["time"], 86_400))
    assert set(map(int, words)) == set(early["item"].to_pylist())
