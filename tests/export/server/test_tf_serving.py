"""The files that TensorFlow Serving is given parse as what it reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from tests.export.server.processes import MODEL

FOLDER = Path(__file__).parents[3] / "export" / "tf_serving"
Field = descriptor_pb2.FieldDescriptorProto


def text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def batching_parameters():
    """An empty BatchingParameters, of a proto that pip does not have.

    tensorflow_serving/servables/tensorflow/session_bundle_config.proto
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_of_tests.proto",
        package="batching_of_tests",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for number, name in (
        (1, "max_batch_size"),
        (2, "batch_timeout_micros"),
        (3, "max_enqueued_batches"),
        (4, "num_batch_threads"),
    ):
        message.field.add(
            name=name,
            number=number,
            label=Field.LABEL_OPTIONAL,
            type=Field.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
        )
    message.field.add(
        name="pad_variable_length_inputs",
        number=7,
        label=Field.LABEL_OPTIONAL,
        type=Field.TYPE_BOOL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName("batching_of_tests.BatchingParameters")
    return message_factory.GetMessageClass(found)()


def test_models_config_names_one_model():
    config = text_format.Parse(
        text("models.config"), model_server_config_pb2.ModelServerConfig()
    )
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == (MODEL, "/models/ranker")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching_config_has_the_fields_of_batching_parameters():
    config = text_format.Parse(text("batching.config"), batching_parameters())
    assert config.max_batch_size.value >= 1
    assert config.pad_variable_length_inputs


def test_monitoring_config_enables_prometheus():
    protos = pytest.importorskip(
        "ovmsclient.tfs_compat.protos.tensorflow_serving.config.monitoring_config_pb2"
    )
    config = text_format.Parse(text("monitoring.config"), protos.MonitoringConfig())
    assert config.prometheus_config.enable


def test_compose_file_mounts_what_its_flags_read_and_stays_on_loopback():
    (service,) = yaml.safe_load(text("docker-compose.yaml"))["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    mounted = {}
    for volume in service["volumes"][1:]:
        source, target, mode = volume.split(":")
        assert (FOLDER / source).is_file()
        assert mode == "ro"
        mounted[target] = source
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    read = {value for value in flags.values() if value.startswith("/config/")}
    assert read == set(mounted)
    assert flags["enable_batching"] == "true"


def test_health_check_passes_on_a_serving_port_and_fails_on_another(local):
    (service,) = yaml.safe_load(text("docker-compose.yaml"))["services"].values()
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    for port, healthy in ((local.rest.split(":")[1], True), ("1", False)):
        script = command[-1].replace("/8501", f"/{port}")
        done = subprocess.run(
            [*command[:-1], script], capture_output=True, timeout=20, check=False
        )
        assert (done.returncode == 0) == healthy


def test_load_test_measures_a_server(base_path, local):
    command = [sys.executable, "-m", "hgr_tf.export.tf_serving.load_test"]
    command += ["--server", local.grpc, "--model", str(base_path)]
    command += ["--signature", "rank", "--clients", "2", "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["errors"] == {}
    assert measured["answers"] > 0
    assert measured["p50_ms"] <= measured["p99_ms"]


def test_compose_file_is_valid_for_docker():
    if subprocess.call(["sh", "-c", "docker compose version >/dev/null 2>&1"]):
        pytest.skip("docker compose is not installed")
    subprocess.run(
        ["docker", "compose", "-f", "docker-compose.yaml", "config", "--quiet"],
        cwd=FOLDER,
        env={**os.environ, "MODELS": "/tmp"},
        check=True,
    )
