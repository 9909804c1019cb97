"""Tables of Delta Lake and Iceberg: the rows of one snapshot, and which one it was."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.data.manifest import Manifest
from hgr_tf.features import FeatureSpec, Format
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.sources import plan_units, read_unit
from hgr_tf.pipelines.sources.base import BATCH_ROWS, table_of
from hgr_tf.pipelines.sources.formats import pinned
from tests.pipelines.conftest import dead_letters

SPEC = """
name: lake
user_id: user
item_id: item
label: click
user: {user: {type: categorical}}
item: {item: {type: categorical}}
"""


class Delta:
    """A table that is written and read as Delta Lake."""

    type = "delta"

    def __init__(self, folder):
        self.deltalake = pytest.importorskip("deltalake")
        self.path = str(folder / "events")

    def append(self, rows):
        self.deltalake.write_deltalake(
            self.path, rows, mode="append", schema_mode="merge"
        )
        return self.deltalake.DeltaTable(self.path).version()

    def delete(self, condition):
        self.deltalake.DeltaTable(self.path).delete(condition)


class Iceberg:
    """A table of Iceberg, in a catalog that is a file."""

    type = "iceberg"

    def __init__(self, folder):
        catalogs = pytest.importorskip("pyiceberg.catalog.sql")
        self._catalog = catalogs.SqlCatalog(
            "lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        self._catalog.create_namespace("db")
        self.table = None

    @property
    def path(self):
        return self.table.metadata_location

    def append(self, rows):
        if self.table is None:
            self.table = self._catalog.create_table("db.events", rows.schema)
        with self.table.update_schema() as update:
            update.union_by_name(rows.schema)
        self.table.append(rows)
        return self.table.current_snapshot().snapshot_id

    def delete(self, condition):
        self.table.delete(condition)


@pytest.fixture(params=[Delta, Iceberg])
def table(request, tmp_path):
    return request.param(tmp_path)


def rows_of(table, path=None, columns=("a", "b")):
    """The rows of a table's snapshot."""
    format_ = Format(type=table.type)
    file = pinned(path or table.path, format_)
    rows = []
    for unit in plan_units(file, 0, format_, list(columns)):
        for batch in read_unit(unit, list(columns)):
            values = [batch.columns[name].to_pylist() for name in columns]
            rows += zip(*values, strict=True)
    return rows


def test_every_row_once_of_the_newest_snapshot_or_the_one_that_is_named(table):
    first = table.append(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    table.append(pa.table({"a": [3], "b": ["z"]}))
    assert sorted(rows_of(table)) == [(1, "x"), (2, "y"), (3, "z")]
    assert sorted(rows_of(table, f"{table.path}@{first}")) == [(1, "x"), (2, "y")]


def test_deleted_rows_are_gone_though_their_files_are_there(table):
    table.append(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    table.delete("a = 1")
    assert rows_of(table) == [(2, "y")]


def test_a_column_that_came_later_is_missing_before(table):
    table.append(pa.table({"a": [1]}))
    table.append(pa.table({"a": [2], "b": ["y"]}))
    assert sorted(rows_of(table)) == [(1, None), (2, "y")]


def test_a_pinned_snapshot_stays_what_it_was(table):
    format_ = Format(type=table.type)
    number = table.append(pa.table({"a": [1]}))
    file = pinned(table.path, format_)
    assert file.path.endswith(f"@{number}") and file.size > 0
    table.append(pa.table({"a": [2]}))
    assert rows_of(table, file.path, columns=["a"]) == [(1,)]
    assert pinned(file.path, format_) == file


def test_large_files_come_in_batches_and_tell_of_their_rows(table):
    table.append(pa.table({"a": np.arange(BATCH_ROWS + 1)}))
    format_ = Format(type=table.type)
    (unit,) = plan_units(pinned(table.path, format_), 0, format_, ["a"])
    batches = list(read_unit(unit, ["a"]))
    assert max(len(batch.rows) for batch in batches) <= BATCH_ROWS
    rows = np.concatenate([batch.rows for batch in batches])
    assert rows.tolist() == list(range(BATCH_ROWS + 1))
    assert json.loads(batches[-1].raw(0)) == {"a": batches[-1].rows[0]}
    bare = [len(batch.rows) for batch in read_unit(unit, [])]
    assert sum(bare) == BATCH_ROWS + 1


def test_what_is_lacking_is_named(table):
    table.append(pa.table({"a": [1]}))
    with pytest.raises(PrepareError, match=r"no column \['b'\]; it has \['a'\]"):
        rows_of(table)
    with pytest.raises(PrepareError, match=r"@999: cannot be read: "):
        rows_of(table, f"{table.path}@999")
    with pytest.raises(PrepareError, match=r"nowhere: cannot be read: "):
        rows_of(table, "/nowhere")


@pytest.mark.fault(
    "pipeline",
    "a file of a Delta or Iceberg table is damaged",
    "the error names the table",
)
def test_a_damaged_file_is_an_error_that_names_the_table(table, tmp_path):
    table.append(pa.table({"a": [1]}))
    (file,) = tmp_path.glob("**/*.parquet")
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(PrepareError, match=rf"{table.path}@\d+: cannot be read"):
        rows_of(table, columns=["a"])


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
def test_a_feature_that_deltalake_does_not_read_is_refused_by_name(tmp_path, feature):
    table = Delta(tmp_path)
    table.append(pa.table({"a": [1]}))
    (log,) = tmp_path.glob("events/_delta_log/*.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    protocol |= {"readerFeatures": [feature], "writerFeatures": [feature]}
    for action in actions:
        if "protocol" in action:
            action["protocol"] = protocol
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    with pytest.raises(PrepareError, match=f"(?i)cannot be read: .*{feature}"):
        rows_of(table, columns=["a"])


def test_the_folder_of_a_delta_table_is_taken_for_no_folder_of_files(run, tmp_path):
    table = Delta(tmp_path)
    table.append(pa.table({"user": ["u"], "item": ["i"], "click": [1]}))
    with pytest.raises(PrepareError, match=r"set `format: \{type: delta\}`"):
        run(FeatureSpec.from_yaml(SPEC), [table.path])


def test_a_catalog_is_asked_for_its_table(tmp_path, monkeypatch):
    table = Iceberg(tmp_path)
    table.append(pa.table({"a": [1]}))
    config = pytest.importorskip("pyiceberg.utils.config")
    for name in ("uri", "warehouse"):
        value = table._catalog.properties[name]
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name.upper()}", value)
    # It was read when PyIceberg was imported.
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", config.Config())
    assert rows_of(table, "lake:db.events", columns=["a"]) == [(1,)]


def test_a_run_records_the_snapshot_and_explains_bad_rows(run, table, tmp_path):
    clicks = {"user": ["u", "v", None], "item": ["i", "j", "k"], "click": [1, 0, 1]}
    number = table.append(pa.table(clicks))
    spec = FeatureSpec.from_yaml(SPEC)
    spec = spec.model_copy(update={"format": Format(type=table.type)})
    folder, manifest = run(spec, [f"train={table.path}"], max_bad_fraction=0.5)
    (given,) = Manifest.load(folder).arguments["inputs"]
    assert given.startswith("train=") and given.endswith(f"@{number}")
    (letter,) = dead_letters(folder)
    assert json.loads(letter["raw"]) == {"user": None, "item": "k", "click": 1}
    assert letter["file"].endswith(f"@{number}")
    assert manifest.splits["train"].rows == 2


def test_two_snapshots_of_a_table_are_no_two_logs(run, table, tmp_path):
    clicks = {"user": ["u"], "item": ["i"], "click": [1]}
    number = table.append(pa.table(clicks))
    first = f"{table.path}@{number}"
    table.append(pa.table(clicks))
    spec = FeatureSpec.from_yaml(SPEC + "time: at\ncounters: {seen: {by: user}}\n")
    spec = spec.model_copy(update={"format": Format(type=table.type)})
    with pytest.raises(PrepareError, match="given as two snapshots"):
        run(spec, [table.path, first])
    with pytest.raises(PrepareError, match="given for 'train' and for 'val'"):
        run(spec, [f"train={first}", f"val={table.path}"])
    with pytest.raises(PrepareError, match="given as an input and for --history-from"):
        run(spec, [table.path], history_from=[first])


def test_a_tables_own_folder_is_no_output(table, tmp_path):
    table.append(pa.table({"user": ["u"], "item": ["i"], "click": [1]}))
    spec = FeatureSpec.from_yaml(SPEC)
    spec = spec.model_copy(update={"format": Format(type=table.type)})
    output = table_of(pinned(table.path, spec.format).path)
    with pytest.raises(PrepareError, match="which the run reads"):
        prepare(spec, [table.path], output)


def test_a_table_beside_the_log_may_be_one_too(run, table, tmp_path):
    table.append(pa.table({"id": ["u"], "age": [30.0]}))
    pq.write_table(
        pa.table({"user": ["u"], "item": ["i"], "click": [1]}), tmp_path / "log.parquet"
    )
    spec = FeatureSpec.from_yaml(
        SPEC.replace("categorical}}\nitem", "categorical}, age: {type: numeric}}\nitem")
        + f"tables: {{user: {{key: id, format: {{type: {table.type}}}}}}}\n"
    )
    log = [str(tmp_path / "log.parquet")]
    _, manifest = run(spec, log, user_table=table.path)
    assert manifest.counters["rows_without_user"] == 0
