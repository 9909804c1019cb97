"""Logs in BigQuery: the job built without a network, and what becomes of rows."""

import datetime as dt
import json
from decimal import Decimal

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from hgr_tf.features import FeatureSpec, Format
from hgr_tf.pipelines import graph
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.run import launch
from hgr_tf.pipelines.running.configure import _logs_of
from tests.pipelines.conftest import dead_letters, examples
from tests.pipelines.test_dataflow import OPTIONS

TABLE = "bigquery://a-project.logs.clicks"
SPEC = """
name: bigquery
user_id: user
item_id: item
label: click
time: at
time_unit: s
user: {user: {type: categorical}, score: {type: numeric}}
item: {item: {type: categorical, dtype: int64}}
context: {tags: {type: multi_categorical}}
"""


@pytest.fixture
def spec():
    return FeatureSpec.from_yaml(SPEC)


def rows(n):
    """Rows as Beam gives them."""
    return [
        {
            "user": f"u{i % 7}",
            "item": i % 5,
            "click": i % 2,
            "at": dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
            "score": Decimal("0.5"),
            "tags": ["a", "b"][: i % 3],
        }
        for i in range(n)
    ]


class GivenRows(beam.PTransform):
    """In the place of Beam's source."""

    def __init__(self, given):
        super().__init__()
        self._given = given

    def expand(self, pbegin):
        return pbegin | beam.Create([self._given[::2], self._given[1::2]])


def test_the_job_reads_the_wanted_columns_by_the_storage_api(tmp_path, spec):
    pytest.importorskip("google.cloud.bigquery_storage")
    job = launch(
        spec, [TABLE], tmp_path / "out", runner="DataflowRunner", beam_options=OPTIONS
    ).job
    shown = {}
    for transform in job.proto_pipeline.components.transforms.values():
        for data in transform.display_data:
            text = beam_runner_api_pb2.LabelledPayload.FromString(data.payload)
            shown[text.key or text.label] = text.string_value
    assert shown["method"] == "DIRECT_READ"
    assert "logs" in shown["table_reference"] and "clicks" in shown["table_reference"]
    assert shown["selected_fields"] == str(spec.log_columns())


@pytest.mark.parametrize("join", ["side", "shuffle"])
def test_rows_are_checked_and_encoded_as_those_of_files(
    run, spec, tmp_path, monkeypatch, join
):
    given = [*rows(20), rows(1)[0] | {"user": None}]
    monkeypatch.setattr(graph, "ReadRows", lambda path, columns: GivenRows(given))
    users = tmp_path / "users.csv"
    users.write_text("id,score\n" + "".join(f"u{i},{i}\n" for i in range(6)))
    tables = {"user": {"key": "id", "unmatched": "reject"}}
    spec = FeatureSpec.model_validate(spec.model_dump() | {"tables": tables})
    folder, manifest = run(
        spec, [TABLE], user_table=users, join=join, max_bad_fraction=0.5
    )
    known = [row for row in given if row["user"] not in (None, "u6")]
    assert manifest.splits["train"].rows == len(known)
    assert manifest.arguments["inputs"] == [TABLE]
    got = sorted((e["__item__"], e["__time__"]) for e in examples(folder, "train"))
    moment = int(dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc).timestamp())
    assert got == sorted((row["item"], moment) for row in known)
    letters = dead_letters(folder)
    assert len(letters) == len(given) - len(known)
    assert {letter["file"] for letter in letters} == {TABLE}
    (missing,) = [x for x in letters if x["reason"] == "missing"]
    assert json.loads(missing["raw"])["user"] is None


@pytest.mark.parametrize("path", ["bigquery://clicks", "bigquery://p.d.t;drop"])
def test_a_path_that_names_no_table_is_refused(run, spec, path):
    with pytest.raises(PrepareError, match=r"expected bigquery://project\.dataset"):
        run(spec, [path])


def test_earlier_rows_may_be_of_a_table():
    assert _logs_of(TABLE, Format()) == [TABLE]


def test_a_table_beside_the_log_is_refused(run, spec, tmp_path):
    (tmp_path / "log.csv").write_text("user,item,click,at,tags\n")
    spec = spec.model_dump() | {"tables": {"user": {"key": "id"}}}
    with pytest.raises(PrepareError, match="BigQuery is read for logs alone"):
        run(
            FeatureSpec.model_validate(spec),
            [str(tmp_path / "log.csv")],
            user_table=TABLE,
        )
