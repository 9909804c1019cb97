"""gs:// paths through Beam's own client, against an emulator of the store."""

import logging

import apache_beam.internal.gcp.auth
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gcp_storage_emulator.server import create_server

from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import AtomicFile, match, read_bytes, write_bytes
from hgr_tf.pipelines.run import prepare

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
BUCKET = "gs://bucket"


@pytest.fixture(scope="module", autouse=True)
def bucket():
    """A bucket that Beam finds where the store would be, without credentials."""
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    port = server._api._httpd.server_port
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        patch.setattr(
            apache_beam.internal.gcp.auth, "get_service_credentials", lambda _: None
        )
        logger = logging.getLogger("gcp_storage_emulator")
        patch.setattr(logger, "disabled", True)  # a line per request
        yield
    server.stop()


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
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
        write_bytes(f"{BUCKET}/logs/{path.name}", path.read_bytes())
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
def output(logs):
    """A run from the bucket into the bucket."""
    run(f"{BUCKET}/logs", f"{BUCKET}/out")
    return f"{BUCKET}/out"


def test_a_bucket_holds_the_bytes_that_a_local_folder_does(logs, output, tmp_path):
    run(logs, tmp_path / "out")
    # Manifest and dead letters tell where the logs were.
    ignored = ["MANIFEST.json", "dead_letter-log-00000.jsonl"]
    assert contents(output, *ignored) == contents(tmp_path / "out", *ignored)
    assert set(ignored) <= set(contents(output))


def test_a_finished_run_in_a_bucket_is_replaced_only_when_told(output):
    before = contents(output)
    with pytest.raises(PrepareError, match="--overwrite"):
        run(f"{BUCKET}/logs", output)
    run(f"{BUCKET}/logs", output, overwrite=True)
    assert contents(output) == before


def test_a_failed_run_leaves_nothing_that_looks_finished(logs):
    with pytest.raises(PrepareError, match="bad"):
        prepare(
            FeatureSpec.from_yaml(SPEC),
            [f"{BUCKET}/logs/log-0.parquet"],
            f"{BUCKET}/failed",
            user_table=f"{BUCKET}/logs/users.parquet",
            max_bad_fraction=0,
        )
    assert all("dead_letter-" in name for name in contents(f"{BUCKET}/failed"))


def test_yesterdays_encoding_is_taken_from_a_bucket(logs, output, tmp_path):
    run(logs, tmp_path / "out", encoding_from=output)
    words = "vocabularies/item.txt"
    assert contents(tmp_path / "out")[words] == contents(output)[words]


def test_a_file_in_a_bucket_appears_whole_or_not_at_all():
    path = f"{BUCKET}/files/atomic"
    with pytest.raises(RuntimeError), AtomicFile(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert contents(f"{BUCKET}/files") == {}
    write_bytes(path, b"whole")
    assert contents(f"{BUCKET}/files") == {"atomic": b"whole"}


@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_characters_of_globs_in_a_name_are_plain(logs, output):
    for path in ("log-1[1].parquet", "out/[1]/MANIFEST.json", "out/1/MANIFEST.json"):
        write_bytes(f"{BUCKET}/[1]/{path}", read_bytes(f"{BUCKET}/logs/log-1.parquet"))
    manifest = prepare(
        FeatureSpec.from_yaml(SPEC),
        [f"{BUCKET}/[1]/log-1[1].parquet"],
        f"{BUCKET}/[1]/out/[1]",
        user_table=f"{BUCKET}/logs/users.parquet",
        overwrite=True,
    )
    assert manifest.counters["rows_good"] == 500
    assert f"{BUCKET}/[1]/out/1/MANIFEST.json" in [
        f.path for f in match(f"{BUCKET}/**")
    ]
