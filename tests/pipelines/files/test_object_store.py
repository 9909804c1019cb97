"""Runs in object stores through Beam's own clients, against emulators of them."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.data import PreparedData
from hgr_tf.data.manifest import ManifestError
from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import (
    File,
    atomic_file,
    delete,
    delete_folder,
    files_in,
    match,
    move_files,
    read_bytes,
    write_bytes,
)
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.running import locking
from hgr_tf.pipelines.running.locking import locked

SPEC = """
name: store
user_id: user
item_id: item
label: click
split: {by: random, fractions: {train: 0.8, val: 0.2}}
user: {user: {type: categorical, dtype: int64}, age: {type: numeric}}
item: {item: {type: categorical, dtype: int64}}
tables: {user: {key: user}}
"""

MORE_RUNS = pytest.mark.parametrize(
    "bucket",
    ["gs", *(pytest.param(store, marks=pytest.mark.slow) for store in ("s3", "azfs"))],
    indirect=True,
)
"""Every store has one run in the quick suite."""


@pytest.fixture(scope="module")
def logs(bucket, tmp_path_factory):
    """A log in two files, a row of it bad, and a table: on disk and in the bucket."""
    folder = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(0)
    for i in range(2):
        n = 500
        items = [None if i == j == 0 else int(rng.integers(99)) for j in range(n)]
        columns = {
            "user": rng.integers(0, 50, n),
            "item": items,
            "click": rng.integers(0, 2, n),
        }
        pq.write_table(pa.table(columns), folder / f"log-{i}.parquet")
    users = pa.table({"user": np.arange(50), "age": rng.integers(10, 90, 50)})
    pq.write_table(users, folder / "users.parquet")
    for path in folder.iterdir():
        write_bytes(f"{bucket}/logs/{path.name}", path.read_bytes())
    return folder


def run(folder, output, **arguments):
    return prepare(
        FeatureSpec.from_yaml(SPEC),
        [f"{folder}/log-*.parquet"],
        output,
        user_table=f"{folder}/users.parquet",
        max_bad_fraction=0.1,
        **arguments,
    )


def contents(folder, *ignored):
    files = match(f"{folder}/**")
    names = {file.path[len(str(folder)) + 1 :]: file.path for file in files}
    return {n: read_bytes(p) for n, p in names.items() if n not in ignored}


@pytest.fixture(scope="module")
def output(bucket, logs):
    """A run from the bucket into the bucket."""
    run(f"{bucket}/logs", f"{bucket}/out")
    return f"{bucket}/out"


def test_a_bucket_holds_the_bytes_that_a_local_folder_does(logs, output, tmp_path):
    run(logs, tmp_path / "out")
    # Manifest and dead letters tell where the logs were.
    ignored = ["MANIFEST.json", "dead_letter-log-00000.jsonl"]
    assert contents(output, *ignored) == contents(tmp_path / "out", *ignored)
    assert set(ignored) <= set(contents(output))


def skip_azure(bucket):
    if bucket.startswith("azfs://"):
        pytest.skip("Beam renames by Azure's own address, never by the emulator's")


@MORE_RUNS
def test_a_finished_run_in_a_bucket_is_replaced_only_when_told(bucket, output):
    before = contents(output)
    with pytest.raises(PrepareError, match="--overwrite"):
        run(f"{bucket}/logs", output)
    skip_azure(bucket)
    run(f"{bucket}/logs", output, overwrite=True)
    assert contents(output) == before


@pytest.mark.fault(
    "pipeline",
    "a run into a bucket fails",
    "nothing looks finished; the next run succeeds",
)
@MORE_RUNS
def test_a_failed_run_leaves_nothing_that_looks_finished(bucket, logs):
    with pytest.raises(PrepareError, match="bad"):
        prepare(
            FeatureSpec.from_yaml(SPEC),
            [f"{bucket}/logs/log-0.parquet"],
            f"{bucket}/failed",
            user_table=f"{bucket}/logs/users.parquet",
            max_bad_fraction=0,
        )
    assert all("dead_letter-" in name for name in contents(f"{bucket}/failed"))


@MORE_RUNS
def test_yesterdays_encoding_is_taken_from_a_bucket(logs, output, tmp_path):
    run(logs, tmp_path / "out", encoding_from=output)
    words = "vocabularies/item.txt"
    assert contents(tmp_path / "out")[words] == contents(output)[words]


def test_a_file_in_a_bucket_appears_whole_or_not_at_all(bucket):
    path = f"{bucket}/files/atomic"
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert contents(f"{bucket}/files") == {}
    write_bytes(path, b"whole")
    assert contents(f"{bucket}/files") == {"atomic": b"whole"}


@MORE_RUNS
@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_characters_of_globs_in_a_name_are_plain(bucket, logs):
    skip_azure(bucket)
    for path in ("log-1[1].parquet", "out/[1]/MANIFEST.json", "out/1/MANIFEST.json"):
        write_bytes(f"{bucket}/[1]/{path}", read_bytes(f"{bucket}/logs/log-1.parquet"))
    manifest = prepare(
        FeatureSpec.from_yaml(SPEC),
        [f"{bucket}/[1]/log-1[1].parquet"],
        f"{bucket}/[1]/out/[1]",
        user_table=f"{bucket}/logs/users.parquet",
        overwrite=True,
    )
    assert manifest.counters["rows_good"] == 500
    assert f"{bucket}/[1]/out/1/MANIFEST.json" in [
        f.path for f in match(f"{bucket}/**")
    ]


@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_files_are_matched_and_deleted_by_their_plain_names(bucket):
    for name in ("[1]/a", "1/a", "b*", "bc"):
        write_bytes(f"{bucket}/plain/{name}", name.encode())
    assert list(files_in(f"{bucket}/plain/[1]")) == ["a"]
    assert match(f"{bucket}/plain/b*") == [File(f"{bucket}/plain/b*", 2)]
    delete([f"{bucket}/plain/{name}" for name in ("[1]/a", "b*", "absent")])
    assert contents(f"{bucket}/plain") == {"1/a": b"1/a", "bc": b"bc"}
    delete_folder(f"{bucket}/plain")
    assert contents(f"{bucket}/plain") == {}


def test_files_are_moved_over_those_that_are_there(bucket):
    skip_azure(bucket)
    for name in ("from/last", "from/below/x", "to/last"):
        write_bytes(f"{bucket}/moved/{name}", name.encode())
    move_files(f"{bucket}/moved/from", f"{bucket}/moved/to", last="last")
    assert contents(f"{bucket}/moved") == {
        "to/last": b"from/last",
        "to/below/x": b"from/below/x",
    }


def test_a_file_without_bytes(bucket):
    write_bytes(f"{bucket}/empty/file", b"")
    assert contents(f"{bucket}/empty") == {"file": b""}


@pytest.mark.fault(
    "pipeline",
    "two runs into one folder of a bucket",
    "the second is refused and names the first",
)
def test_one_run_at_a_time_works_in_a_bucket(bucket):
    folder = f"{bucket}/locked"
    with (
        locked(folder),
        pytest.raises(PrepareError, match=r"locked: process \d+ on .* works there"),
        locked(folder),
    ):
        pass
    with locked(folder):
        pass
    assert contents(folder) == {}


@pytest.mark.fault(
    "pipeline",
    "a run into a bucket is killed",
    "its lock no longer counts after a time",
)
def test_the_lock_of_a_killed_run_no_longer_counts(bucket, monkeypatch):
    folder = f"{bucket}/killed"
    write_bytes(f"{folder}/.lock-of-another", b"process 1 on a machine")
    with (
        pytest.raises(PrepareError, match="process 1 on a machine works"),
        locked(folder),
    ):
        pass
    monkeypatch.setattr(locking, "DEAD_SECONDS", 0.5)
    time.sleep(2)  # stores count whole seconds
    with locked(folder):
        assert len(contents(folder)) == 1


def test_a_lock_is_renewed_while_its_run_lives(bucket, monkeypatch):
    monkeypatch.setattr(locking, "BEAT_SECONDS", 0.05)
    folder = f"{bucket}/renewed"
    failures = iter([AttributeError("a client's own error")])

    def failing_once(path, data):
        for error in failures:
            raise error
        write_bytes(path, data)

    with locked(folder):
        monkeypatch.setattr(locking, "write_bytes", failing_once)
        (path,) = contents(folder)
        write_bytes(f"{folder}/{path}", b"overwritten")
        deadline = time.monotonic() + 5
        while contents(folder)[path] == b"overwritten":
            assert time.monotonic() < deadline


def test_training_refuses_a_bucket(output):
    with pytest.raises(ManifestError, match="training reads local folders: copy it"):
        PreparedData.load(output)
