"""MANIFEST.json: what a finished folder of prepared data holds. No TensorFlow.

It is written last and atomically, so a folder without one is not finished.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from hgr_tf.features.spec import FeatureSpec
from hgr_tf.features.strict_model import describe
from hgr_tf.result_files import sha256_of

FILE_NAME = "MANIFEST.json"


class ManifestError(ValueError):
    """Prepared data that must not be read; the message says why."""


def _check_inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(f"must be a path inside the folder, got {path!r}")
    return path


Inside = Annotated[str, AfterValidator(_check_inside)]
"""A path relative to the folder, which does not leave it."""


class Shard(BaseModel):
    """One output file.

    Attributes:
        file: Path relative to the folder.
        rows: Rows of the log in it.
        bytes: Size as stored.
        sha256: SHA-256 of the stored bytes.
    """

    model_config = ConfigDict(extra="forbid")
    file: Inside
    rows: int
    bytes: int
    sha256: str


class LabelCounts(BaseModel):
    """Of the log, before negatives are sampled, for one label of several.

    Attributes:
        rows: Rows where the label is defined: all, or those that it is `given`.
        positives: Rows where it is positive.
    """

    model_config = ConfigDict(extra="forbid")
    rows: int
    positives: int


class Split(BaseModel):
    """A part of the data.

    Attributes:
        rows: Its rows.
        positives: Positives of the first label, before negatives are sampled.
        shards: Its shards, in order.
        labels: Counts of each of several labels; nothing of a single one.
    """

    model_config = ConfigDict(extra="forbid")
    rows: int
    positives: int
    shards: list[Shard]
    labels: dict[str, LabelCounts] = {}

    @model_serializer(mode="wrap")
    def _of_several_alone(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        if not self.labels:
            del dumped["labels"]
        return dumped


class Manifest(BaseModel):
    """What a finished folder holds and how it came to be.

    Attributes:
        format_version: Format version of this file and of what it describes.
        spec_sha256: `FeatureSpec.digest()` of the spec the data follows.
        encoding_sha256: SHA-256 of each file of the encoding, by path relative to the
            folder.
        output_format: "parquet" holds encoded columns and "tfrecord" a
            tf.train.Example for each row; training reads both. The
            others are for other tools.
        splits: By name ("train", "val", ...).
        counters: Rows read, kept, rejected by reason, joined, ...
        versions: Versions of this package and the libraries that matter.
        arguments: Arguments of the run, so that it can be repeated.
    """

    model_config = ConfigDict(extra="forbid")
    format_version: Literal[1] = 1
    spec_sha256: str
    encoding_sha256: dict[Inside, str] = {}
    output_format: str = "tfrecord"
    splits: dict[str, Split]
    counters: dict[str, int] = {}
    versions: dict[str, str] = {}
    arguments: dict[str, Any] = {}

    def write(self, folder: str | Path) -> None:
        """Writes MANIFEST.json under a temporary name, then renames it."""
        path = Path(folder) / FILE_NAME
        temporary = path.with_name(f".{FILE_NAME}.tmp")
        temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)

    @classmethod
    def load(cls, folder: str | Path) -> Manifest:
        """Reads a folder's manifest.

        Raises:
            ManifestError: There is none (the folder is absent or unfinished, or in an
                object store), or it cannot be parsed.
        """
        _check_local(folder)
        path = Path(folder) / FILE_NAME
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise ManifestError(
                f"{folder}: no {FILE_NAME}: not a finished output of `hgr-tf prepare`"
            ) from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ManifestError(f"{path}: {describe(error)}") from error

    def check_spec(self, spec: FeatureSpec) -> None:
        """Raises `ManifestError` unless the data was made under `spec`."""
        if spec.digest() != self.spec_sha256:
            raise ManifestError(
                f"the data was prepared under another spec than {spec.name!r}: "
                f"digest {self.spec_sha256[:12]}, expected {spec.digest()[:12]}"
            )

    def check_encoding_files(self, folder: str | Path) -> None:
        """Raises `ManifestError` if a file of the encoding is missing or altered."""
        for file, sha256 in self.encoding_sha256.items():
            path = Path(folder) / file
            if not path.exists():
                raise ManifestError(f"{path}: missing, but {FILE_NAME} lists it")
            if sha256_of(path) != sha256:
                raise ManifestError(f"{path}: altered since {FILE_NAME} was written")

    def check_shards(
        self, folder: str | Path, split: str, output_format: str | None = None
    ) -> list[Path]:
        """Paths of a split's shards, after comparing size and SHA-256.

        Args:
            folder: The prepared folder.
            split: Name of the split.
            output_format: What the reader understands; None for any format.

        Raises:
            ManifestError: No such split, the data has another format, or a
                shard is missing or altered.
        """
        if output_format not in (None, self.output_format):
            raise ManifestError(
                f"{folder}: holds {self.output_format!r}, expected {output_format!r}"
            )
        return [check_shard(folder, shard) for shard in self.shards(folder, split)]

    def shards(self, folder: str | Path, split: str) -> list[Shard]:
        """The shards of a split as they are listed; `folder` is for the error.

        Raises:
            ManifestError: No such split.
        """
        if split not in self.splits:
            raise ManifestError(
                f"{folder}: no split {split!r}; there are {sorted(self.splits)}"
            )
        return self.splits[split].shards


def _check_local(folder: str | Path) -> None:
    # A `Path` keeps one "/" of two.
    if re.match(r"[a-z][a-z0-9]+:/", str(folder)):
        raise ManifestError(
            f"{folder}: training reads local folders: copy it first, as with "
            "`aws s3 sync`, `gcloud storage rsync -r` or `azcopy sync`"
        )


def check_shard(folder: str | Path, shard: Shard) -> Path:
    """Returns the path of a shard, after comparing its size and SHA-256.

    Raises:
        ManifestError: The shard is missing or altered; the message names it.
    """
    path = Path(folder) / shard.file
    remedy = "restore it, or run `hgr-tf prepare` again"
    if not path.exists():
        raise ManifestError(f"{path}: missing, but {FILE_NAME} lists it: {remedy}")
    if path.stat().st_size != shard.bytes or sha256_of(path) != shard.sha256:
        raise ManifestError(
            f"{path}: altered since {FILE_NAME} was written (its SHA-256 differs): "
            f"{remedy}"
        )
    return path


def encoding_hashes(folder: str | Path) -> dict[str, str]:
    """SHA-256 of the files of the encoding in a local folder, by relative path."""
    folder = Path(folder)
    patterns = ("spec.yaml", "encoding.json", "vocabularies/*.txt")
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
