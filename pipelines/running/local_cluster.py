"""Beam's portable runner on this machine, its workers in processes of their own.

The workers fetch what the job staged and install it, as on a cluster: with
`--setup_file` they get the package that setup.py builds, and nothing else of it.

    with local_cluster() as options:
        prepare(spec, inputs, output, runner="PortableRunner",
                beam_options=[*options, "--setup_file=./setup.py"])

The pool of workers starts this module with the arguments of Beam's container
contract.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_artifact_api_pb2 as artifact_api,
)
from apache_beam.portability.api import (
    beam_artifact_api_pb2_grpc as artifact_grpc,
)
from apache_beam.portability.api import (
    beam_provision_api_pb2 as provision_api,
)
from apache_beam.portability.api import (
    beam_provision_api_pb2_grpc as provision_grpc,
)
from apache_beam.portability.api import beam_runner_api_pb2 as runner_api
from google.protobuf import json_format

_START_SECONDS = 60
_STAGING = common_urns.artifact_roles.STAGING_TO.urn


@contextlib.contextmanager
def local_cluster() -> Iterator[list[str]]:
    """Starts a job service and a pool of workers; gives the options to reach them."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = Path(folder)
        port_file = root / "job.port"
        service = "apache_beam.runners.portability.local_job_service_main"
        log = stack.enter_context((root / "log").open("w"))
        staging = root / "staging"
        arguments = [f"--port_file={port_file}", f"--staging_dir={staging}"]
        stack.enter_context(_process(log, service, *arguments))
        port, boot = _free_port(), _executable(root)
        pool = "apache_beam.runners.worker.worker_pool_main"
        arguments = [f"--service_port={port}", f"--container_executable={boot}"]
        stack.enter_context(_process(log, pool, *arguments))
        yield [
            f"--job_endpoint=localhost:{_read_when_there(port_file)}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{port}",
        ]


@contextlib.contextmanager
def _process(log: IO, module: str, *arguments: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()


def _executable(folder: Path) -> Path:
    """A file that starts a worker; what it installs goes below the folder."""
    path = folder / "boot"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _read_when_there(path: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Beam's job service did not start: no {path}")
        time.sleep(0.1)
    return path.read_text()


def _start_worker(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    endpoints = ("logging", "artifact", "provision", "control")
    for name in ("id", *(f"{endpoint}_endpoint" for endpoint in endpoints)):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(arguments)
    metadata = [("worker_id", given.id)]
    with grpc.insecure_channel(given.provision_endpoint) as channel:
        info = (
            provision_grpc.ProvisionServiceStub(channel)
            .GetProvisionInfo(
                provision_api.GetProvisionInfoRequest(), metadata=metadata
            )
            .info
        )
    home = Path(tempfile.mkdtemp(dir=given.folder))
    packages = _fetch(given.artifact_endpoint, info.dependencies, home, metadata)
    site = home / "site"
    for package in packages:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", f"--target={site}", str(package)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    environment = os.environ | {
        "WORKER_ID": given.id,
        "PYTHONPATH": str(site),
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "SEMI_PERSISTENT_DIRECTORY": str(home),
        "LOGGING_API_SERVICE_DESCRIPTOR": f'url: "{given.logging_endpoint}"',
        "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{given.control_endpoint}"',
    }
    module = "apache_beam.runners.worker.sdk_worker_main"
    os.chdir(home)  # nothing of the folder it was started in may be imported
    os.execve(sys.executable, [sys.executable, "-m", module], environment)


def _fetch(
    endpoint: str,
    dependencies: Iterable[runner_api.ArtifactInformation],
    home: Path,
    metadata: list[tuple[str, str]],
) -> list[Path]:
    """Stores the job's artifacts; returns the packages among them."""
    packages = []
    with grpc.insecure_channel(endpoint) as channel:
        service = artifact_grpc.ArtifactRetrievalServiceStub(channel)
        request = artifact_api.ResolveArtifactsRequest(artifacts=dependencies)
        found = service.ResolveArtifacts(request, metadata=metadata).replacements
        for artifact in found:
            if artifact.role_urn != _STAGING:
                continue
            role = runner_api.ArtifactStagingToRolePayload.FromString(
                artifact.role_payload
            )
            path = home / role.staged_name
            get = artifact_api.GetArtifactRequest(artifact=artifact)
            chunks = service.GetArtifact(get, metadata=metadata)
            path.write_bytes(b"".join(chunk.data for chunk in chunks))
            if path.name.endswith((".tar.gz", ".whl")):
                packages.append(path)
    return packages


if __name__ == "__main__":
    _start_worker(sys.argv[1:])
