"""Starts one worker, as Beam's container contract says: what an image's boot does.

It fetches what the job staged and installs it, as on a cluster: with `--setup_file` the
worker gets the package that setup.py builds, and nothing else of it.

    worker_boot.py FOLDER --id=... --control_endpoint=... --provision_endpoint=... ...
"""

from __future__ import annotations

import argparse
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

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

_STAGING = common_urns.artifact_roles.STAGING_TO.urn


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
    # Some engines name all endpoints, others let the provision service tell them.
    logging, artifact, control = (
        getattr(given, f"{name}_endpoint") or getattr(info, f"{name}_endpoint").url
        for name in ("logging", "artifact", "control")
    )
    home = Path(tempfile.mkdtemp(dir=given.folder))
    packages = _fetch(artifact, info.dependencies, home, metadata)
    site = home / "site"
    for package in packages:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", f"--target={site}", str(package)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    os.environ |= {
        "WORKER_ID": given.id,
        "PYTHONPATH": str(site),
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "SEMI_PERSISTENT_DIRECTORY": str(home),
        "LOGGING_API_SERVICE_DESCRIPTOR": f'url: "{logging}"',
        "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{control}"',
    }
    # Nothing may be imported of the folders that it was started in and lies in.
    os.chdir(home)
    sys.path[0] = str(site)
    runpy.run_module("apache_beam.runners.worker.sdk_worker_main", run_name="__main__")


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
