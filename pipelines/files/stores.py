"""Object stores, as Beam reaches them: gs://, s3://, azfs://.

Endpoint and credentials come from the usual environment variables of each store's own
client, or from Beam's options (`--s3_endpoint_url`, `--azure_connection_string`, ...).
"""

from __future__ import annotations

import glob
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

from hgr_tf.pipelines.errors import need_extra

if TYPE_CHECKING:
    from apache_beam.io.filesystems import FileSystems


class Store(NamedTuple):
    """An object store.

    Attributes:
        client: Module of the client that Beam calls.
        extra: Extra of setup.py that brings it.
    """

    client: str
    extra: str


STORES = {
    "gs": Store("google.cloud.storage", "dataflow"),
    "s3": Store("boto3", "aws"),
    "azfs": Store("azure.storage.blob", "azure"),
}
"""By the scheme of their paths."""


def is_stored(path: str) -> bool:
    """Whether a path is that of an object store, and not of a local file."""
    return "://" in path


def file_systems(path: str) -> type[FileSystems]:
    """Beam's FileSystems, once those of the path's scheme are known to be there.

    Raises:
        PrepareError: The store's client is not installed.
    """
    _check_client(path.partition("://")[0] if is_stored(path) else "")
    return _beam()


@cache
def _beam() -> type[FileSystems]:
    # Beam takes seconds to import, and local files need none of it.
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    # Its clients of stores fail without options, which only a pipeline sets.
    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems


@cache
def _check_client(scheme: str) -> None:
    if store := STORES.get(scheme):
        need_extra(store.client, store.extra, f"paths of {scheme}://")
    if scheme == "s3":
        _share_s3_client()


def _share_s3_client() -> None:
    """Has Beam reuse its client of S3.

    It makes one for every call on a file otherwise, which reads the description of the
    whole service each time.
    """
    import boto3
    from apache_beam.io.aws.clients.s3 import boto3_client

    session = SimpleNamespace(client=cache(boto3.session.Session().client))
    module = SimpleNamespace(Session=lambda: session)
    boto3_client.boto3 = SimpleNamespace(session=module)


def exists(path: str) -> bool:
    """Whether there is an object of this name."""
    try:
        return file_systems(path).exists(path)
    except OSError as error:  # so Beam's client of Azure says that there is none
        details = getattr(error, "exception_details", None) or {}
        if {getattr(cause, "code", None) for cause in details.values()} != {404}:
            raise
        return False


def create_empty(path: str) -> None:
    """Stores an object without bytes."""
    if not path.startswith("s3://"):
        file_systems(path).create(path).close()
        return
    # Beam uploads to S3 in parts, of which S3 wants one at least.
    from apache_beam.io.aws.s3io import S3IO, parse_s3_path

    bucket, key = parse_s3_path(path)
    client = S3IO(options=file_systems(path)._pipeline_options).client
    client.client.put_object(Bucket=bucket, Key=key, Body=b"")


def delete(paths: list[str]) -> None:
    """Deletes objects; those already gone are fine."""
    if paths and not paths[0].startswith("s3://"):  # S3 takes the absence as done
        paths = list(filter(exists, paths))
    # Beam takes names for globs in gs:// alone.
    names = [glob.escape(p) if p.startswith("gs://") else p for p in paths]
    if names:
        file_systems(names[0]).delete(names)
