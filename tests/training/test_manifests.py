"""What docs/distributed.md says to schedulers is what they, and TF_CONFIG, take."""

import json
import os
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from hgr_tf.training import RunConfig
from hgr_tf.training.parameter_servers import parameter_server_task
from hgr_tf.training.tf_config import read_tf_config
from tests.training.test_parameter_servers import on_keras_2

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def service_and_job():
    (text,) = (block for block in BLOCKS if "kind: Job" in block)
    return list(yaml.safe_load_all(text))


def test_kubernetes_takes_the_manifest(service_and_job):
    for resource in service_and_job:
        kubernetes_validate.validate(resource, "1.30", strict=True)


def test_a_wrong_manifest_would_be_refused(service_and_job):
    wrong = json.loads(json.dumps(service_and_job[1]))
    wrong["spec"]["template"]["spec"]["containers"][0]["comand"] = ["sh"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.30", strict=True)


def told_by(command, script, **env):
    """The TF_CONFIG that a script gives to `hgr-tf`."""
    return subprocess.run(
        [*command, script.replace("exec hgr-tf", "echo $TF_CONFIG #")],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_each_pod_knows_the_workers_and_which_it_is(service_and_job, monkeypatch):
    service, job = service_and_job
    pods = job["spec"]["template"]["spec"]
    (container,) = pods["containers"]
    (script,) = container["args"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert int(env["WORKERS"]) == job["spec"]["completions"]
    for index in range(job["spec"]["completions"]):
        env["JOB_COMPLETION_INDEX"] = str(index)
        told = told_by(container["command"], script, **env)
        monkeypatch.setenv("TF_CONFIG", told)
        read_tf_config("chief", "worker")
        config = json.loads(told)
        assert config["task"] == {"type": "worker", "index": index}
        name = job["metadata"]["name"]
        assert pods["subdomain"] == service["metadata"]["name"]
        (port,) = (one["port"] for one in service["spec"]["ports"])
        assert config["cluster"]["worker"][index] == (
            f"{name}-{index}.{pods['subdomain']}:{port}"
        )


@on_keras_2
def test_each_pod_knows_its_role_beside_parameter_servers(monkeypatch):
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    tasks = []
    for index in range(6):
        env = {"SERVERS": "2", "WORKERS": "3", "JOB_COMPLETION_INDEX": str(index)}
        monkeypatch.setenv("TF_CONFIG", told_by(["sh", "-ec"], script, **env))
        task = parameter_server_task()
        host = f"hgr-train-{index}.hgr-train:2222"
        assert task.cluster[task.role][task.index] == host
        tasks.append((task.role, task.index))
    servers = [("ps", index) for index in range(2)]
    workers = [("worker", index) for index in range(3)]
    assert tasks == [("chief", 0), *servers, *workers]


def test_the_config_of_the_page_is_one():
    (text,) = (block for block in BLOCKS if block.startswith("distribution:"))
    assert RunConfig.from_yaml(text) == RunConfig()


def test_vertex_runs_one_command_in_both_pools():
    (text,) = (block for block in BLOCKS if "workerPoolSpecs" in block)
    chief, workers = yaml.safe_load(text)["workerPoolSpecs"]
    assert chief["replicaCount"] == 1
    assert chief["containerSpec"] == workers["containerSpec"]
