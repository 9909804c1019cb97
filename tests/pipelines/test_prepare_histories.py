import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.features import FeatureSpec, SpecError
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.steps import deal_groups

SPEC = """
name: past
user_id: user
item_id: item
label: click
time: t
user: {user: {type: categorical}}
item: {item: {type: categorical, dtype: int64}, brand: {type: categorical}}
history: {seen: {of: item, with: [brand], where: {label: 1}, length: 5}}
counters: {rate: {by: [user, brand]}, sold: {by: brand, windows: [40]}}
"""
PAST = ["seen_item", "seen_brand", "rate_all_rate", "sold_40_exposures"]


def log(count=400, seed=0):
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 20, count)
    return pa.table(
        {
            "user": [f"u{n}" for n in rng.integers(0, 9, count)],
            "item": item,
            "brand": [f"b{n}" for n in item % 4],
            "click": rng.integers(0, 2, count),
            "t": rng.integers(0, 100, count),
        }
    )


def read(folder, split):
    tables = [pq.read_table(path) for path in sorted(folder.glob(f"{split}-*.parquet"))]
    return pa.concat_tables(tables).to_pylist()


def prepared(folder, split):
    rows = read(folder, split)
    return sorted(rows, key=lambda r: (r["__time__"], r["__user__"], str(r)))


def write(path, table):
    pq.write_table(table, path)
    return str(path)


@pytest.fixture
def spec():
    return FeatureSpec.from_yaml(SPEC)


def test_rows_have_the_same_past_however_they_lie_in_files(tmp_path, run, spec):
    table = log()
    whole = write(tmp_path / "whole.parquet", table)
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    parts = [
        write(tmp_path / f"part-{i}.parquet", shuffled.slice(100 * i, 100))
        for i in range(4)
    ]
    one, _ = run(spec, [whole], "one", output_format="parquet")
    many, _ = run(spec, parts, "many", output_format="parquet")
    assert prepared(one, "train") == prepared(many, "train")
    assert any(row["seen_item"] for row in prepared(one, "train"))


def test_rows_have_the_same_past_by_way_of_groups(tmp_path, run, spec, monkeypatch):
    table = log()
    paths = [
        write(tmp_path / f"{i}.parquet", table.slice(100 * i, 100)) for i in range(4)
    ]
    direct, _ = run(spec, paths, "direct", output_format="parquet")
    monkeypatch.setattr(deal_groups, "MOST_PLACES", 4)  # of 16 partitions
    grouped, _ = run(spec, paths, "grouped", output_format="parquet")
    assert prepared(direct, "train") == prepared(grouped, "train")


def test_rows_of_earlier_logs_are_past_and_nothing_else(tmp_path, run, spec):
    table = log()
    early = table.filter(pa.compute.less(table["t"], 60))
    late = table.filter(pa.compute.greater_equal(table["t"], 60))
    early = write(tmp_path / "early.parquet", early)
    late = write(tmp_path / "late.parquet", late)
    whole, _ = run(spec, [early, late], "whole", output_format="parquet")
    options = {"output_format": "parquet", "encoding_from": whole}
    day, manifest = run(spec, [late], "day", history_from=[early], **options)
    run(spec, [early], "first", output_format="parquet")
    again, _ = run(spec, [late], "again", history_from=[tmp_path / "first"], **options)
    wanted = [row for row in prepared(whole, "train") if row["__time__"] >= 60]
    assert prepared(day, "train") == prepared(again, "train") == wanted
    assert manifest.counters["rows_earlier"] == 400 - len(wanted)


@pytest.mark.slow
def test_a_rerun_and_other_processes_give_the_same_bytes(tmp_path, run, spec):
    path = write(tmp_path / "log.parquet", log())
    runs = [run(spec, [path], "one"), run(spec, [path], "two", workers=2)]
    one, two = (manifest.splits["train"].shards for _, manifest in runs)
    assert one == two


@pytest.mark.parametrize("split", ["random", "user"])
def test_splits_at_random_take_the_past_of_each_row(tmp_path, run, split):
    text = SPEC + f"split: {{by: {split}, fractions: {{train: 0.5, val: 0.5}}}}\n"
    path = write(tmp_path / "log.parquet", log())
    folder, _ = run(FeatureSpec.from_yaml(text), [path], output_format="parquet")
    assert any(row["seen_item"] for row in prepared(folder, "val"))


def test_order_orders_rows_and_a_split_without_it_is_one_moment(tmp_path, run):
    text = SPEC.replace("time: t", "order: t").replace(
        ", sold: {by: brand, windows: [40]}", ""
    )
    table = log()
    train = write(tmp_path / "train.parquet", table.slice(0, 300))
    val = write(tmp_path / "val.parquet", table.slice(300).drop_columns(["t"]))
    folder, _ = run(
        FeatureSpec.from_yaml(text),
        [f"train={train}", f"val={val}"],
        output_format="parquet",
    )
    assert len({tuple(row["seen_item"]) for row in read(folder, "train")}) > 100
    by_user = {}
    for row in read(folder, "val"):
        by_user.setdefault(row["user"], set()).add(tuple(row["seen_item"]))
    assert all(len(lists) == 1 for lists in by_user.values())
    assert any(next(iter(lists)) for lists in by_user.values())


def test_a_counter_by_a_number_counts_its_bucket(tmp_path, run):
    counters = """
user: {user: {type: categorical}}
item:
  price: {type: bucketized, boundaries: [5, 10]}
  priced: {type: categorical, column: level}
counters: {by_price: {by: [user, price]}, by_level: {by: [user, priced]}}
"""
    table = log()
    price = [None if i % 7 == 0 else float(i) for i in table["item"].to_pylist()]
    level = [None if p is None else f"l{(p >= 5) + (p >= 10)}" for p in price]
    table = table.append_column("price", pa.array(price, pa.float32()))
    table = table.append_column("level", pa.array(level))
    head = SPEC.split("user: {")[0]
    folder, _ = run(
        FeatureSpec.from_yaml(head + counters),
        [write(tmp_path / "log.parquet", table)],
        "out",
        output_format="parquet",
    )
    rows = read(folder, "train")
    for statistic in ("exposures", "rate"):
        found = [row[f"by_price_all_{statistic}"] for row in rows]
        assert found == [row[f"by_level_all_{statistic}"] for row in rows]
        assert len(set(found)) > 5


def test_a_counter_by_learned_buckets_is_refused(tmp_path, run):
    text = SPEC.replace(
        "brand: {type: categorical}", "brand: {type: bucketized, num_buckets: 4}"
    )
    path = write(tmp_path / "log.parquet", log())
    spec = FeatureSpec.from_yaml(text)  # what an earlier version wrote is read
    with pytest.raises(PrepareError, match=r"counters.rate.by: .* bucket of 'brand'"):
        run(spec, [path])


def test_histories_of_rows_that_are_dropped_or_sampled_are_whole(tmp_path, run, spec):
    text = SPEC + "negatives: {rate: 0.2}\n"
    path = write(tmp_path / "log.parquet", log())
    whole, _ = run(spec, [path], "whole", output_format="parquet")
    some, _ = run(FeatureSpec.from_yaml(text), [path], "some", output_format="parquet")
    wanted = {
        str([r["__time__"], r["__item__"], r["seen_item"]])
        for r in prepared(whole, "train")
    }
    found = [
        str([r["__time__"], r["__item__"], r["seen_item"]])
        for r in prepared(some, "train")
    ]
    assert len(found) < 300
    assert set(found) <= wanted


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("history: {h: {of: nothing}}", "history.h.of or with must name features"),
        ("history: {h: {of: item, by: item}}", "history.h.by must be the user id"),
        ("history: {h: {of: item, delay: 1h}}", "'1h' needs `time_unit`"),
        ("history: {h: {of: item, delay: 1x}}", "got '1x'"),
        ("history: {h: {of: item, as_of: day}}", "'day' needs `time` and `time_unit`"),
        (
            "history: {h: {of: item, where: {x: 1}}}",
            "history.h.where must name features",
        ),
        ("counters: {c: {by: [user, item, brand]}}", "counters.c.by"),
        ("counters: {c: {by: brand, as_of: session}}", "unless `by` holds 'user'"),
        ("order: seq", "`time` must not be given too"),
    ],
)
def test_a_wrong_section_is_named(section, message):
    base = SPEC.split("history:")[0]
    with pytest.raises(SpecError) as error:
        FeatureSpec.from_yaml(base + section)
    assert message in str(error.value)


def test_a_training_split_without_any_past_is_refused(tmp_path, run):
    text = SPEC.replace("length: 5", "as_of: split")
    path = write(tmp_path / "log.parquet", log())
    with pytest.raises(
        PrepareError, match="leaves the rows of 'train' without any past"
    ):
        run(FeatureSpec.from_yaml(text), [path])
