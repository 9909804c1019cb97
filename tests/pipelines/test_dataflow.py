"""The Dataflow job as it would be submitted, built without a network."""

import inspect
import json
from pathlib import Path
from unittest import mock

import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

from hgr_tf.cli.prepare import prepare as prepare_command
from hgr_tf.pipelines.dataflow import main as template
from hgr_tf.pipelines.run import launch

apiclient = pytest.importorskip(
    "apache_beam.runners.dataflow.internal.apiclient", reason="needs extra dataflow"
)
ROOT = Path(__file__).parents[2]
IMAGE = "europe-docker.pkg.dev/a-project/images/hgr_tf:1"
OPTIONS = [
    "--dry_run=True",
    "--no_auth",
    "--project=a-project",
    "--region=europe-west1",
    "--temp_location=gs://a-bucket/temp",
    "--staging_location=gs://a-bucket/staging",
    "--job_name=prepare",
    f"--sdk_container_image={IMAGE}",
    "--sdk_location=container",
    f"--setup_file={ROOT / 'setup.py'}",
    "--machine_type=n2-standard-4",
    "--max_num_workers=20",
    "--disk_size_gb=50",
    "--service_account_email=runner@a-project.iam.gserviceaccount.com",
]


@pytest.fixture
def job(tmp_path, spec):
    log = tmp_path / "log.csv"
    log.write_text("user,item,click,age,tags,hour,city\nu,1,1,2,,,\n")
    result = launch(
        spec,
        [str(log)],
        tmp_path / "out",
        runner="DataflowRunner",
        beam_options=OPTIONS,
    )
    return result.job


def payloads(pipeline):
    for transform in pipeline.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
            body = transform.spec.payload
            yield beam_runner_api_pb2.ParDoPayload.FromString(body).do_fn.payload


def test_job_has_the_image_the_package_and_the_machines(job):
    options = job.options
    with (
        mock.patch.object(apiclient.DataflowApplicationClient, "stage_file"),
        mock.patch.object(
            apiclient.DataflowApplicationClient, "_gcs_file_copy"
        ) as copied,
    ):
        client = apiclient.DataflowApplicationClient(options)
        client.create_job_description(job)
    description = json.loads(job.json())
    (pool,) = description["environment"]["workerPools"]
    assert pool["machineType"] == "n2-standard-4"
    assert pool["diskSizeGb"] == 50
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
    images = pool["sdkHarnessContainerImages"]
    assert [image["containerImage"] for image in images] == [IMAGE]
    environment = description["environment"]
    assert environment["serviceAccountEmail"].startswith("runner@")
    staged = [call.args[1] for call in copied.call_args_list]
    assert any(path.endswith("workflow.tar.gz") for path in staged)


def test_nothing_pickled_refers_to_main(job):
    found = list(payloads(job.proto_pipeline))
    assert len(found) > 10
    for payload in found:
        assert b"__main__" not in payload


def test_template_parameters_reach_the_run(tmp_path, spec):
    path = tmp_path / "spec.yaml"
    path.write_text(spec.to_yaml())
    metadata = json.loads((ROOT / "pipelines/dataflow/metadata.json").read_text())
    values = {
        "spec": str(path),
        "input": "train=gs://b/a-*,val=gs://b/v-*",
        "output": "gs://b/out",
        "user_table": "gs://b/users",
        "item_table": "gs://b/items",
        "join": "shuffle",
        "output_format": "parquet",
        "layout": "code",
        "code_table": "gs://b/codes",
        "code_prefix": "2",
        "history_from": "gs://b/days-1*,gs://b/days-2*",
        "where": "dt>=2026-01-01,hour=5",
        "encoding_from": "gs://b/yesterday",
        "grow_vocabularies": "true",
        "evict_after_days": "30",
        "compression": "3",
        "max_bad_fraction": "0.5",
        "shard_rows": "7",
        "seed": "3",
        "overwrite": "true",
    }
    assert {p["name"] for p in metadata["parameters"]} == set(values)
    arguments = [f"--{name}={value}" for name, value in values.items()]
    with mock.patch.object(template, "launch") as started:
        template.main([*arguments, "--region=europe-west1"])
    (_, inputs, output), named = started.call_args
    assert inputs == ["train=gs://b/a-*", "val=gs://b/v-*"] and output == "gs://b/out"
    assert named["beam_options"] == ["--region=europe-west1"]
    simple = dict(list(values.items())[3:])
    del simple["history_from"], simple["where"]
    assert {name: str(named[name]).lower() for name in simple} == simple
    assert named["history_from"] == ("gs://b/days-1*", "gs://b/days-2*")
    assert named["where"] == ("dt>=2026-01-01", "hour=5")
    assert named["shard_rows"] == 7 and named["overwrite"] is True


def test_template_parameters_are_the_options_of_prepare():
    metadata = json.loads((ROOT / "pipelines/dataflow/metadata.json").read_text())
    options = inspect.signature(prepare_command).parameters
    of_this_machine = {"workers", "runner", "beam_options"}
    expected = set(options) - of_this_machine
    assert {p["name"] for p in metadata["parameters"]} == expected


def test_template_leaves_defaults_to_prepare(tmp_path, spec):
    path = tmp_path / "spec.yaml"
    path.write_text(spec.to_yaml())
    with mock.patch.object(template, "launch") as started:
        template.main([f"--spec={path}", "--input=gs://b/a", "--output=gs://b/out"])
    assert set(started.call_args.kwargs) == {"runner", "beam_options"}
