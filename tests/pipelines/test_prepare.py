"""prepare() from logs to a finished folder."""

import csv
import hashlib
import json
import os
import subprocess
import sys

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from hgr_tf.data import PreparedData
from hgr_tf.data.manifest import Manifest, ManifestError, Shard
from hgr_tf.features import FeatureEncoding, FeatureSpec
from hgr_tf.features.fingerprint import fingerprint64
from hgr_tf.pipelines import graph
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.running.locking import locked
from hgr_tf.pipelines.steps import deal_groups
from hgr_tf.pipelines.steps.finish import check_written
from tests.pipelines.conftest import dead_letters, examples, read_records, rows_of

TABLED = """
name: tabled
user_id: user
item_id: item
label: {column: rating, min: 1, max: 5, positive_at_least: 4}
weight: weight
missing_values: ["?"]
user:
  user: {type: categorical}
  age: {type: numeric, log1p: true, default: 30}
  city: {type: categorical, min_count: 2, oov_buckets: 3}
item:
  item: {type: categorical, dtype: int64}
  genres: {type: multi_categorical, delimiter: "|", max_length: 2}
  price: {type: bucketized, num_buckets: 3}
tables:
  user: {key: id}
  item: {key: id}
"""


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture
def tabled(tmp_path):
    """A log with both tables; a user and an item are in no table."""
    rng = np.random.default_rng(1)
    rows = [
        [f"u{rng.integers(12)}", rng.integers(9), rng.integers(1, 6), rng.random()]
        for _ in range(300)
    ]
    log = write_csv(tmp_path / "log.csv", ["user", "item", "rating", "weight"], rows)
    users = [[f"u{i}", "?" if i == 3 else 20 + i, "xyz"[i % 3]] for i in range(11)]
    user_table = write_csv(tmp_path / "users.csv", ["id", "age", "city"], users)
    items = [[i, "|".join("abc"[: i % 4]), i / 2] for i in range(8)]
    item_table = write_csv(
        tmp_path / "items.csv", ["id", "genres", "price"], [*items, [0, "again", 9]]
    )
    return rows, {
        "spec": FeatureSpec.from_yaml(TABLED),
        "inputs": [log],
        "user_table": user_table,
        "item_table": item_table,
    }


def sorted_rows(folder, split="train"):
    manifest = Manifest.load(folder)
    shards = manifest.splits[split].shards
    return sorted(repr(row) for s in shards for row in rows_of(folder / s.file))


def test_examples_hold_the_encoded_rows_of_the_log(run, tabled):
    rows, arguments = tabled
    folder, manifest = run(**arguments)
    encoding = FeatureEncoding.load(folder)
    assert manifest.splits["train"].rows == len(rows)
    assert manifest.counters["item_table_repeated_keys"] == 1
    got = sorted(
        (e["__user__"], e["__item__"], e["__label__"], round(e["__weight__"], 6))
        for e in examples(folder, "train")
    )
    users = fingerprint64(pa.array([r[0] for r in rows])).view(np.int64).tolist()
    assert got == sorted(
        (u, r[1], float(r[2] >= 4), round(float(np.float32(r[3])), 6))
        for u, r in zip(users, rows, strict=True)
    )
    by_item = {e["__item__"]: e for e in examples(folder, "train")}
    genres = encoding.vocabularies["genres"]
    first = encoding.first_vocabulary_id("genres")
    assert by_item[3]["genres"] == [first + genres.index(g) for g in "ab"]
    assert by_item[1]["genres"] == first + genres.index("a")
    assert by_item[0]["genres"] == [] and by_item[8]["genres"] == []
    assert by_item[8]["price"] == 0
    assert manifest.counters["rows_without_item"] == sum(r[1] == 8 for r in rows)
    ages = {u: 20 + i for i, u in enumerate(f"u{j}" for j in range(11))} | {"u3": 30}
    logged = np.log1p([ages.get(r[0], 30) for r in rows])
    assert encoding.moments["age"] == pytest.approx((logged.mean(), logged.std()))


def test_records_are_what_tf_train_example_writes(run, tabled):
    folder, manifest = run(**tabled[1], output_format="tfrecord")
    (shard,) = manifest.splits["train"].shards
    for record in read_records(folder / shard.file):
        message = tf.train.Example.FromString(record)
        assert message.SerializeToString(deterministic=True) == record


def test_join_by_shuffling_gives_the_same_examples(run, tabled):
    side, by_side = run(**tabled[1], name="side", join="side")
    shuffled, by_shuffle = run(**tabled[1], name="shuffled", join="shuffle")
    assert sorted_rows(side) == sorted_rows(shuffled)
    assert by_side.counters == by_shuffle.counters
    assert _without_floats(side) == _without_floats(shuffled)


def test_join_by_way_of_groups_gives_the_same_examples(run, tabled, monkeypatch):
    side, by_side = run(**tabled[1], name="side", join="side")
    monkeypatch.setattr(deal_groups, "MOST_PLACES", 4)  # of 16 partitions
    grouped, by_groups = run(**tabled[1], name="grouped", join="shuffle")
    assert sorted_rows(side) == sorted_rows(grouped)
    assert by_side.counters == by_groups.counters
    assert _without_floats(side) == _without_floats(grouped)


def _without_floats(folder):
    # Sums of floats may differ in their last digit with the order of rows.
    text = (folder / "statistics.json").read_text()
    return json.loads(text, parse_float=lambda digits: round(float(digits), 9))


@pytest.mark.parametrize("join", ["side", "shuffle"])
def test_unmatched_rows_may_be_rejected(run, tabled, join):
    rows, arguments = tabled
    tables = {"user": {"key": "id"}, "item": {"key": "id", "unmatched": "reject"}}
    spec = arguments["spec"].model_dump() | {"tables": tables}
    arguments = arguments | {"spec": FeatureSpec.model_validate(spec)}
    folder, manifest = run(**arguments, join=join, max_bad_fraction=1)
    bad = [i for i, row in enumerate(rows, start=1) if row[1] == 8]
    letters = dead_letters(folder)
    assert [letter["row"] for letter in letters] == bad
    assert {(x["column"], x["reason"]) for x in letters} == {
        ("item", "id is not in the table")
    }
    assert manifest.counters["rows_bad"] == len(bad)
    assert manifest.splits["train"].rows == len(rows) - len(bad)


def test_dead_letters_of_several_batches_and_units_are_in_order(run, tmp_path):
    n = 150_000  # batches are of 65,536 rows at most
    click = np.ones(n)
    bad = [0, 65_535, 65_536, 99_999, 100_000, n - 1]
    click[bad] = np.nan
    ids = np.arange(n) % 7
    log = pa.table(
        {"user": ids, "item": ids, "click": pa.array(click, from_pandas=True)}
    )
    pq.write_table(log, tmp_path / "log.parquet", row_group_size=100_000)
    spec = """
name: letters
user_id: user
item_id: item
label: click
user: {user: {type: categorical}}
item: {item: {type: categorical}}
"""
    arguments = {"spec": FeatureSpec.from_yaml(spec)}
    folder, manifest = run(**arguments, inputs=[str(tmp_path / "log.parquet")])
    letters = dead_letters(folder)
    assert [letter["row"] for letter in letters] == [row + 1 for row in bad]
    raw = {"user": 0, "item": 0, "click": None}
    assert json.loads(letters[0]["raw"]) == raw
    assert manifest.counters["rows_bad"] == len(bad)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_dead_letters_are_the_same_however_tables_are_joined(
    run, tabled, tmp_path, kind
):
    arguments = dict(tabled[1])
    tables = {"user": {"key": "id"}, "item": {"key": "id", "unmatched": "reject"}}
    spec = arguments["spec"].model_dump() | {"tables": tables}
    arguments["spec"] = FeatureSpec.model_validate(spec)
    if kind == "parquet":
        log = pa.csv.read_csv(arguments["inputs"][0])
        pq.write_table(log, tmp_path / "log.parquet", row_group_size=70)
        arguments["inputs"] = [str(tmp_path / "log.parquet")]
    letters = [
        dead_letters(run(**arguments, name=join, join=join, max_bad_fraction=1)[0])
        for join in ("side", "shuffle")
    ]
    assert letters[0] and letters[0] == letters[1]


def test_the_same_negatives_are_kept_however_tables_are_joined(run, tabled):
    arguments = dict(tabled[1])
    spec = arguments["spec"].model_dump() | {"negatives": {"rate": 0.3}}
    arguments["spec"] = FeatureSpec.model_validate(spec)
    side, _ = run(**arguments, name="side", join="side")
    shuffled, _ = run(**arguments, name="shuffled", join="shuffle")
    other, _ = run(**arguments, name="other", seed=1)
    assert sorted_rows(side) == sorted_rows(shuffled) != sorted_rows(other)
    assert 60 < len(sorted_rows(side)) < len(tabled[0])


@pytest.mark.parametrize("join", ["side", "shuffle"])
def test_bad_rows_of_a_table_are_counted_and_explained(run, tabled, tmp_path, join):
    items = write_csv(
        tmp_path / "bad.csv", ["id", "genres", "price"], [[1, "a", 2], ["x", "b", 3]]
    )
    arguments = tabled[1] | {"item_table": items}
    message = r"1 of 2 rows of the item table are bad \(50.00%\), more than the 1.00%"
    with pytest.raises(PrepareError, match=message):
        run(**arguments, join=join)
    folder, manifest = run(**arguments, join=join, max_bad_fraction=0.5)
    assert manifest.counters["item_table_bad"] == 1
    assert manifest.counters["user_table_bad"] == manifest.counters["rows_bad"] == 0
    (letter,) = dead_letters(folder)
    assert (letter["file"], letter["row"], letter["column"]) == (items, 2, "id")


def test_rerun_gives_the_same_bytes(run, tabled):
    _, first = run(**tabled[1], name="one", shard_rows=70, seed=3)
    _, second = run(**tabled[1], name="two", shard_rows=70, seed=3)
    _, other = run(**tabled[1], name="three", shard_rows=70, seed=4)
    assert len(first.splits["train"].shards) == 5
    assert first.splits == second.splits != other.splits


def test_manifest_tells_sizes_and_hashes(run, tabled):
    folder, manifest = run(**tabled[1])
    for shard in manifest.splits["train"].shards:
        data = (folder / shard.file).read_bytes()
        assert shard.bytes == len(data)
        assert shard.sha256 == hashlib.sha256(data).hexdigest()
    manifest.check_spec(tabled[1]["spec"])
    assert manifest.check_shards(folder, "train")
    (folder / shard.file).write_bytes(data[:-1] + b"!")
    with pytest.raises(ManifestError, match="altered"):
        manifest.check_shards(folder, "train")
    with pytest.raises(ManifestError, match="holds 'parquet', expected 'tfrecord'"):
        manifest.check_shards(folder, "train", output_format="tfrecord")
    (folder / shard.file).unlink()
    with pytest.raises(ManifestError, match=r"missing, but MANIFEST\.json lists it"):
        manifest.check_shards(folder, "train")
    path = folder / "MANIFEST.json"
    path.write_text(
        path.read_text().replace('"format_version": 1', '"format_version": 2')
    )
    with pytest.raises(ManifestError, match="format_version"):
        Manifest.load(folder)


@pytest.mark.fault(
    "pipeline",
    "a vocabulary of an earlier output was altered",
    "refused; the error names the file",
)
@pytest.mark.parametrize(
    "name", ["spec.yaml", "encoding.json", "vocabularies/city.txt"]
)
def test_an_altered_encoding_is_refused(run, tabled, name):
    folder, manifest = run(**tabled[1])
    assert PreparedData.load(folder).manifest == manifest
    path = folder / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ManifestError, match=rf"{name}: altered since MANIFEST"):
        PreparedData.load(folder)
    with pytest.raises(PrepareError, match=rf"{name}: altered since MANIFEST"):
        run(**tabled[1], name="next", encoding_from=folder)
    path.unlink()
    with pytest.raises(ManifestError, match=rf"{name}: missing, but MANIFEST"):
        PreparedData.load(folder)


def test_finished_output_is_refused_unless_overwritten(run, tabled):
    folder, first = run(**tabled[1])
    with pytest.raises(PrepareError, match="--overwrite replaces it"):
        run(**tabled[1])
    (folder / "train-00007-of-00009.parquet").write_bytes(b"stale")
    (folder / "notes.md").write_text("mine")
    _, again = run(**tabled[1], overwrite=True)
    assert again == first
    assert not (folder / "train-00007-of-00009.parquet").exists()
    assert (folder / "notes.md").exists()
    assert not list(folder.glob(".*"))


def files_of(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("where", ["job", "end"])
def test_a_run_that_fails_leaves_the_finished_output_it_would_replace(
    run, tabled, monkeypatch, where
):
    folder, _ = run(**tabled[1])
    before = files_of(folder)
    broken = {"job": graph.WriteShard, "end": graph.Finish}[where]

    def fail(self, *arguments):
        raise ValueError("broken")

    monkeypatch.setattr(broken, "process", fail)
    with pytest.raises(ValueError, match="broken"):
        run(**tabled[1], overwrite=True, shard_rows=50)
    assert files_of(folder) == before
    monkeypatch.undo()
    _, manifest = run(**tabled[1], overwrite=True, shard_rows=50)
    assert len(manifest.splits["train"].shards) == 6
    assert manifest.check_shards(folder, "train")
    assert len(list(folder.glob("*.parquet"))) == 6


@pytest.mark.fault(
    "pipeline",
    "two runs into one output",
    "the second is refused and names the first; nothing of the first is touched",
)
def test_one_run_at_a_time_works_in_an_output(run, tabled, tmp_path):
    folder = tmp_path / "out"
    with locked(str(folder)):
        left = folder / ".unfinished" / "theirs" / "checked"
        left.mkdir(parents=True)
        (left / "rows").write_bytes(b"of the other run")
        with pytest.raises(PrepareError, match=rf"process {os.getpid()} on .* works"):
            run(**tabled[1])
        assert (left / "rows").exists()
    (folder / ".lock").write_text("process 1 on a host that is no more")
    _, manifest = run(**tabled[1])
    assert manifest.check_shards(folder, "train")
    assert not list(folder.glob(".*"))


@pytest.mark.fault(
    "pipeline",
    "a run dies that holds the lock of an output",
    "the next run takes the lock",
)
def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import os\nfrom hgr_tf.pipelines.running.locking import locked\n"
        f"with locked({str(tmp_path)!r}): os._exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
    assert (tmp_path / ".lock").exists()
    with locked(str(tmp_path)):
        pass
    assert not (tmp_path / ".lock").exists()


@pytest.mark.fault(
    "pipeline",
    "shards vanish before the manifest is written",
    "no manifest; the error names the shard",
)
def test_shards_that_are_gone_finish_no_run(tmp_path):
    shards = [Shard(file=f"{i}.gz", rows=1, bytes=3, sha256="") for i in range(2)]
    (tmp_path / "0.gz").write_bytes(b"abc")
    with pytest.raises(PrepareError, match=r"1\.gz: expected 3 bytes.*got no file"):
        check_written(shards, str(tmp_path))
    (tmp_path / "1.gz").write_bytes(b"abc")
    check_written(shards, str(tmp_path))


@pytest.mark.fault(
    "pipeline",
    "rows that break the spec",
    "a dead letter with the reason of each; counted in the manifest",
)
def test_bad_rows_are_explained_and_counted(run, tmp_path, spec):
    log = tmp_path / "log.csv"
    log.write_bytes(
        b"user,item,click,age,tags,hour,city\n"
        b"u1,1,1,20,a|b,3,x\n"
        b",1,1,20,,3,x\n"
        b"u1,one,1,20,,3,x\n"
        b"u1,1,2,20,,3,x\n"
        b"u1,1,,20,,3,x\n"
        b"u1,1,1,inf,,3,x\n"
        b"u1,1,1,old,,3,x\n"
        b"u1,1,1,20,,3\n"
        b"u\xff,1,1,20,,3,x\n"
        b"u2,1,0,,,,\n"
    )
    folder, manifest = run(spec, [str(log)], max_bad_fraction=0.9)
    letters = dead_letters(folder)
    assert [(x["row"], x["column"], x["reason"]) for x in letters] == [
        (2, "user", "missing"),
        (3, "item", "not an integer"),
        (4, "click", "label outside its range"),
        (5, "click", "missing"),
        (6, "age", "non-finite number"),
        (7, "age", "not a number"),
        (8, "", "wrong number of columns"),
        (9, "user", "undecodable text"),
    ]
    assert letters[3]["raw"] == "u1,1,,20,,3,x" and letters[3]["file"] == str(log)
    counters = manifest.counters
    assert counters["rows_read"] == counters["rows_good"] + counters["rows_bad"] == 10
    assert counters["bad: missing"] == 2


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("ns"), pa.date32()])
def test_a_time_that_python_cannot_hold_is_one_bad_row(run, tmp_path, spec, kind):
    number = {"us": 253_402_300_800_000_000, "ns": 2**63 - 1}
    last = 3_000_000 if pa.types.is_date(kind) else number[kind.unit]
    numbers = pa.array([0] * 9 + [last], pa.int32() if last < 2**31 else pa.int64())
    columns = {name: pa.nulls(10) for name in ("age", "tags", "hour", "city")}
    columns |= {"user": ["u"] * 10, "item": [1] * 10, "click": [0, 1] * 5}
    columns |= {"t": numbers.cast(kind)}
    if kind == pa.timestamp("ns"):
        columns["click"] = [0, 1] * 4 + [0, 7]
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    timed = spec.model_dump() | {"time": "t", "time_unit": "us"}
    folder, manifest = run(
        FeatureSpec.model_validate(timed),
        [str(tmp_path / "log.parquet")],
        max_bad_fraction=0.1,
    )
    assert manifest.counters["rows_good"] == 9
    (letter,) = dead_letters(folder)
    assert letter["row"] == 10 and '"user": "u"' in letter["raw"]


def test_a_time_of_avro_that_python_cannot_hold_is_one_bad_row(run, tmp_path, spec):
    time = {"type": "long", "logicalType": "timestamp-millis"}
    absent = ["age", "tags", "hour", "city"]
    fields = [{"name": "user", "type": "string"}, {"name": "t", "type": time}]
    fields += [{"name": name, "type": "int"} for name in ("item", "click")]
    fields += [{"name": name, "type": ["null", "string"]} for name in absent]
    rows = [{"user": "u", "item": 1, "click": i % 2, "t": 1_000 * i} for i in range(10)]
    rows[3]["t"] = 1_650_000_000_000_000_000
    with (tmp_path / "log.avro").open("wb") as file:
        schema = {"type": "record", "name": "row", "fields": fields}
        fastavro.writer(file, schema, rows)
    timed = spec.model_dump() | {"time": "t", "time_unit": "s"}
    folder, manifest = run(
        FeatureSpec.model_validate(timed),
        [str(tmp_path / "log.avro")],
        max_bad_fraction=0.1,
    )
    assert manifest.counters["rows_good"] == 9
    (letter,) = dead_letters(folder)
    assert letter["row"] == 4 and letter["column"] == "t"
    assert json.loads(letter["raw"])["t"] == rows[3]["t"]


def test_undecodable_text_of_parquet_is_one_bad_row(run, tmp_path, spec):
    columns = {name: pa.nulls(3) for name in ("age", "hour", "city")}
    columns |= {"user": ["u"] * 3, "item": [1] * 3, "click": [0, 1, 1]}
    text = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"a|b", b"a|\xff", None]).buffers()
    )
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), text)
    for tags in (text, lists, text.dictionary_encode()):
        pq.write_table(pa.table(columns | {"tags": tags}), tmp_path / "log.parquet")
        folder, manifest = run(
            spec, [str(tmp_path / "log.parquet")], max_bad_fraction=0.5, overwrite=True
        )
        assert manifest.counters["rows_good"] == 2
        (letter,) = dead_letters(folder)
        assert letter["row"] == 2 and letter["reason"] == "undecodable text"
        shown = "a|\\xff"
        expected = [shown] if tags is lists else shown
        assert json.loads(letter["raw"])["tags"] == expected


def test_too_many_bad_rows_fail_and_leave_nothing_finished(run, tmp_path, spec):
    log = tmp_path / "log.jsonl"
    good = {"user": "u", "item": 1, "click": 1}
    lines = [json.dumps(good)] * 97 + ["{"] * 3
    log.write_text("\n".join(lines))
    message = r"3 of 100 rows are bad \(3.00%\).*see dead_letter-\*.jsonl in .*/out$"
    with pytest.raises(PrepareError, match=message):
        run(spec, [str(log)])
    folder = tmp_path / "out"
    assert not (folder / "MANIFEST.json").exists()
    assert len(dead_letters(folder)) == 3
    with pytest.raises(ManifestError, match="not a finished output"):
        Manifest.load(folder)
    _, manifest = run(spec, [str(log)], max_bad_fraction=0.03)
    assert manifest.counters["rows_bad"] == 3


def write_items(path, items):
    """A log of the spec, in which only the items differ."""
    rows = [{"user": "u", "item": i, "click": i % 2} for i in items]
    table = pa.Table.from_pylist(rows)
    for name in ("age", "tags", "hour", "city"):
        table = table.append_column(name, pa.nulls(len(rows)))
    pq.write_table(table, f"{path}.parquet")
    return [f"{path}.parquet"]


def test_vocabularies_are_reused_and_grow(run, tmp_path, spec):
    first, _ = run(spec, write_items(tmp_path / "monday", [5, 5, 7]), name="monday")
    tuesday = write_items(tmp_path / "tuesday", [9, 9, 9, 7, 3])
    same, _ = run(spec, tuesday, name="same", encoding_from=str(first))
    grown, _ = run(
        spec, tuesday, name="grown", encoding_from=str(first), grow_vocabularies=True
    )
    words = {
        f.name: FeatureEncoding.load(f).vocabularies["item"]
        for f in (first, same, grown)
    }
    assert words == {
        "monday": ("5", "7"),
        "same": ("5", "7"),
        "grown": ("5", "7", "9", "3"),
    }
    counts = (grown / "vocabularies" / "item.counts.txt").read_text().split()
    assert counts == ["0", "1", "3", "1"]
    assert sorted(e["item"] for e in examples(same, "train")) == [1, 1, 1, 1, 3]
    of_a_run = tmp_path / "run" / "encoding"
    FeatureEncoding.load(first).save(of_a_run)
    with pytest.raises(PrepareError, match="output, nor the encoding of a run"):
        run(spec, tuesday, name="again", encoding_from=str(of_a_run))
    (tmp_path / "run" / "config.yaml").touch()
    again, _ = run(spec, tuesday, name="again", encoding_from=str(of_a_run))
    assert FeatureEncoding.load(again) == FeatureEncoding.load(same)


def test_ids_of_values_that_were_not_seen_go_to_new_ones(run, tmp_path, spec):
    monday = write_items(tmp_path / "monday", [5, 5, 7, 1])
    first, _ = run(spec, monday, name="monday")
    grows = {"grow_vocabularies": True, "evict_after_days": 1}
    tuesday = write_items(tmp_path / "tuesday", [7, 7, 9])
    second, manifest = run(
        spec, tuesday, name="tuesday", encoding_from=str(first), **grows
    )
    found = FeatureEncoding.load(second)
    assert found.vocabularies["item"] == ("9", "1", "7")
    assert found.unseen["item"] == (0, 1, 0)
    assert manifest.arguments["evict_after_days"] == 1
    assert "vocabularies/item.unseen.txt" in manifest.encoding_sha256
    assert sorted(e["item"] for e in examples(second, "train")) == [2, 4, 4]
    same, _ = run(spec, tuesday, name="same", encoding_from=str(second))
    assert FeatureEncoding.load(same).unseen["item"] == (0, 0, 0)


def test_shared_ids_come_from_the_vocabulary_of_the_other_feature(run, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("""
name: shared
user_id: user
item_id: item
label: click
user: {user: {type: categorical}}
item: {item: {type: categorical}}
context: {last: {type: categorical, shares: item}}
""")
    log = tmp_path / "log.csv"
    rows = [
        ("u", "a", 0, ""),
        ("u", "a", 1, "a"),
        ("u", "b", 0, "a"),
        ("u", "a", 1, "c"),
    ]
    write_csv(log, ["user", "item", "click", "last"], rows)
    output, _ = run(spec, [str(log)])
    encoding = FeatureEncoding.load(output)
    assert encoding.vocabularies == {"user": ("u",), "item": ("a", "b")}
    assert sorted(row["last"] for row in examples(output, "train")) == [0, 1, 2, 2]


class TestLayoutsAndFormats:
    def test_rows_of_a_user_lie_together(self, run, tabled):
        folder, manifest = run(**tabled[1], layout="user", shard_rows=60)
        seen = set()
        for shard in manifest.splits["train"].shards:
            users = [row["__user__"] for row in rows_of(folder / shard.file)]
            runs = [u for i, u in enumerate(users) if i == 0 or users[i - 1] != u]
            assert len(runs) == len(set(runs)) and not seen & set(runs)
            seen |= set(runs)
        assert len(seen) == 12

    @pytest.mark.parametrize("output_format", ["parquet", "elwc"])
    def test_shards_by_way_of_groups_have_the_same_bytes(
        self, run, tabled, monkeypatch, output_format
    ):
        arguments = tabled[1] | {"shard_rows": 30, "output_format": output_format}
        _, direct = run(**arguments, name="direct", layout="user")
        assert len(direct.splits["train"].shards) == 10
        monkeypatch.setattr(deal_groups, "MOST_PLACES", 4)
        _, grouped = run(**arguments, name="grouped", layout="user")
        assert grouped == direct

    def test_rows_of_a_code_lie_together(self, run, tabled, tmp_path):
        codes = [[f"u{i}", i % 2, i % 3] for i in range(10)]
        path = write_csv(tmp_path / "codes.csv", ["user", "code_1", "code_2"], codes)
        folder, manifest = run(**tabled[1], code_table=path, shard_rows=100)
        names = {
            int(fingerprint64(pa.array([u])).view(np.int64)[0]): tuple(c)
            for u, *c in codes
        }
        shards_of_prefix = {}
        for shard in manifest.splits["train"].shards:
            rows = rows_of(folder / shard.file)
            paths = [names.get(row["__user__"], (-1, -1)) for row in rows]
            assert paths == sorted(paths)
            for path in paths:
                shards_of_prefix.setdefault(path[0], set()).add(shard.file)
        assert all(len(files) == 1 for files in shards_of_prefix.values())

    def test_parquet_holds_the_same_values(self, run, tabled):
        records, manifest = run(**tabled[1], name="records", output_format="tfrecord")
        assert manifest.output_format == "tfrecord"
        columns, manifest = run(**tabled[1], name="columns")
        assert manifest.output_format == "parquet"
        assert examples(columns, "train") == examples(records, "train")

    def test_both_formats_train_on_the_same_batches(self, run, tabled):
        batches = {}
        for name in ("parquet", "tfrecord"):
            folder, _ = run(**tabled[1], name=name, output_format=name, shard_rows=70)
            data = PreparedData.load(folder)
            batches[name] = [
                batch
                for shuffle in (False, True)
                for batch in data.dataset(
                    "train", 32, shuffle=shuffle, seed=3, shuffle_buffer=200
                ).as_numpy_iterator()
            ]
        assert len(batches["parquet"]) == len(batches["tfrecord"])
        for one, other in zip(*batches.values(), strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, one, other)

    def test_lists_are_parsed_by_tensorflow_ranking(self, run, tabled):
        tfr = pytest.importorskip("tensorflow_ranking", reason="needs TF 2.15")
        as_examples, _ = run(**tabled[1], name="examples", output_format="tfrecord")
        folder, manifest = run(**tabled[1], name="lists", output_format="elwc")
        (shard,) = manifest.splits["train"].shards
        parsed = tfr.data.parse_from_example_list(
            read_records(folder / shard.file),
            context_feature_spec={
                "__user__": tf.io.FixedLenFeature([1], tf.int64),
                "age": tf.io.FixedLenFeature([1], tf.float32),
            },
            example_feature_spec={
                "__item__": tf.io.FixedLenFeature([1], tf.int64, [-1]),
                "__label__": tf.io.FixedLenFeature([1], tf.float32, [-1.0]),
                "price": tf.io.FixedLenFeature([1], tf.int64, [-1]),
            },
        )
        got = sorted(
            (int(user), float(age), int(item), float(label), int(price))
            for user, age, items, labels, prices in zip(
                parsed["__user__"][:, 0].numpy(),
                parsed["age"][:, 0].numpy(),
                parsed["__item__"][..., 0].numpy(),
                parsed["__label__"][..., 0].numpy(),
                parsed["price"][..., 0].numpy(),
                strict=True,
            )
            for item, label, price in zip(items, labels, prices, strict=True)
            if item >= 0
        )
        keys = ("__user__", "age", "__item__", "__label__", "price")
        assert got == sorted(
            tuple(e[k] for k in keys) for e in examples(as_examples, "train")
        )
        assert parsed["__user__"].shape[0] == 12
        assert shard.rows == 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ["nowhere-*.csv"]}, "no file of that name"),
        ({"inputs": []}, "no input was given"),
        ({"user_table": None}, "give --user-table"),
        ({"layout": "code"}, "code table go together"),
        ({"layout": "shuffled", "output_format": "elwc"}, "needs layout 'user'"),
    ],
)
def test_wrong_arguments_are_told_before_anything_runs(run, tabled, change, message):
    with pytest.raises(PrepareError, match=message):
        run(**(tabled[1] | change))


def test_an_input_without_rows_points_to_no_dead_letters(run, spec, tmp_path):
    (tmp_path / "log.csv").write_text(",".join(spec.log_columns()) + "\n")
    with pytest.raises(PrepareError, match=r"the inputs hold no row$"):
        run(spec, [str(tmp_path / "log.csv")])


@pytest.mark.parametrize("join", ["side", "shuffle"])
def test_a_table_whose_lines_end_in_lone_returns_is_refused(
    run, tabled, tmp_path, join
):
    path = tmp_path / "returns.csv"
    path.write_bytes(b"id,age,city\ru1,20,x\ru2,21,y\r")
    with pytest.raises(PrepareError, match=r"returns\.csv: cannot be read: lines must"):
        run(**(tabled[1] | {"user_table": str(path)}), join=join)


def test_a_column_that_the_log_lacks_is_named(run, tabled, tmp_path):
    log = write_csv(tmp_path / "other.csv", ["user", "item"], [["u1", 1]])
    with pytest.raises(
        PrepareError, match=r"other.csv: no column \['rating', 'weight'\]"
    ):
        run(**(tabled[1] | {"inputs": [log]}))
