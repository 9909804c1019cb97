"""The last step: the small files, and the manifest that makes a run finished."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterator

import apache_beam as beam

import hgr_tf
from hgr_tf.data.manifest import (
    FILE_NAME,
    LabelCounts,
    Manifest,
    Shard,
    Split,
    encoding_hashes,
)
from hgr_tf.features import FeatureEncoding
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import (
    files_in,
    join,
    local_copy,
    upload_folder,
    write_bytes,
)
from hgr_tf.pipelines.output.statistics_page import html_page
from hgr_tf.pipelines.output.tfx_schema import schema_text
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.plan import Plan
from hgr_tf.pipelines.steps.write_shards import WrittenShard

_LIBRARIES = ("apache-beam", "numpy", "pyarrow")


class Finish(beam.DoFn):
    """Writes the encoding, the statistics and, last of all, the manifest."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self,
        _: None,
        plan: Plan,
        shards: list[WrittenShard],
        counts: dict[str, int],
    ) -> Iterator[str]:
        """Yields the manifest as JSON."""
        settings = self._settings
        check_written([s.shard for s in shards], settings.results)
        upload_folder(local_copy(plan.encoding), settings.results)
        encoding = FeatureEncoding.load(local_copy(plan.encoding))
        files = {
            "statistics.json": json.dumps(plan.statistics, indent=1) + "\n",
            "statistics.html": html_page(settings.spec.name, plan.statistics, counts),
            "schema.pbtxt": schema_text(encoding),
        }
        for name, content in files.items():
            write_bytes(join(settings.results, name), content.encode())
        manifest = make_manifest(settings, plan, shards, counts)
        text = manifest.model_dump_json(indent=1) + "\n"
        check_wanted(plan)
        write_bytes(join(settings.results, FILE_NAME), text.encode())
        yield text


def check_wanted(plan: Plan) -> None:
    """Raises `PrepareError` if the run has ended, and its files are removed."""
    if not files_in(plan.encoding):
        raise PrepareError("the run was stopped before it was finished")


def check_written(shards: list[Shard], folder: str) -> None:
    """Raises `PrepareError` unless the shards are there, with all their bytes."""
    sizes = {name: file.size for name, file in files_in(folder).items()}
    for shard in shards:
        if sizes.get(shard.file) != shard.bytes:
            raise PrepareError(
                f"{join(folder, shard.file)}: expected {shard.bytes:,} bytes as the "
                f"run wrote them, got {sizes.get(shard.file, 'no file')}; does "
                "something else write there?"
            )


def make_manifest(
    settings: Settings,
    plan: Plan,
    shards: list[WrittenShard],
    counts: dict[str, int],
) -> Manifest:
    """The manifest of a run whose files are all written."""
    features = plan.statistics["features"].values()
    line_ends = sum(feature.get("with_line_ends", 0) for feature in features)
    splits = {}
    for index, name in enumerate(settings.splits):
        own = sorted((s.shard for s in shards if s.split == index), key=_file)
        if own:
            rates = plan.statistics["splits"][name]
            splits[name] = Split(
                rows=sum(shard.rows for shard in own),
                positives=rates["positives"],
                shards=own,
                labels={
                    label: LabelCounts(rows=told["rows"], positives=told["positives"])
                    for label, told in rates.get("labels", {}).items()
                },
            )
    return Manifest(
        spec_sha256=settings.spec.digest(),
        encoding_sha256=encoding_hashes(local_copy(plan.encoding)),
        output_format=settings.output_format,
        splits=splits,
        counters={
            k: int(v)
            for k, v in sorted((counts | {"values_with_line_ends": line_ends}).items())
        },
        versions=versions(),
        arguments=arguments(settings),
    )


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that the bytes depend on."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"hgr_tf": hgr_tf.__version__, "python": platform.python_version(), **found}


def arguments(settings: Settings) -> dict:
    """What the run was asked to do."""
    return {
        "inputs": [
            f if split is None else f"{settings.splits[split]}={f}"
            for f, _, split in settings.files
        ],
        "tables": {
            owner: [file.path for file in files]
            for owner, files in settings.tables.items()
        },
        "seed": settings.seed,
        "shard_rows": settings.shard_rows,
        "compression": settings.compression,
        "layout": settings.layout,
        "code_table": settings.code_table and settings.code_table.path,
        "code_prefix": settings.code_prefix,
        "join": dict(settings.join),
        "max_bad_fraction": settings.max_bad_fraction,
        "history_from": [file.path for file in settings.history_from],
        "encoding_from": settings.encoding_from,
        "grow_vocabularies": settings.grow_vocabularies,
        "evict_after_days": settings.evict_after_days,
    }


def _file(shard: Shard) -> str:
    return shard.file
