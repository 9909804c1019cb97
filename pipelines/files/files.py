"""Files, wherever Beam can reach them: local folders, and object stores.

The pipeline moves its rows through temporary files and lets Beam shuffle only
their descriptors: memory stays flat on every runner, in-memory ones included.
"""

from __future__ import annotations

import bz2
import contextlib
import fnmatch
import glob
import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa
from isal import igzip

from hgr_tf.pipelines.files import stores
from hgr_tf.pipelines.files.stores import file_systems, is_stored

_RAW = "uncompressed"  # CompressionTypes.UNCOMPRESSED
_UPLOAD_BYTES = 1 << 20
_DECOMPRESSORS: dict[str, Callable[[BufferedIOBase], BufferedIOBase]] = {
    ".gz": lambda file: igzip.IGzipFile(fileobj=file, mode="rb"),
    ".bz2": bz2.BZ2File,
    ".zst": lambda file: io.BufferedReader(pa.CompressedInputStream(file, "zstd")),
}


class File(NamedTuple):
    """A file that exists: its path and size in bytes."""

    path: str
    size: int


def join(folder: str, *parts: str) -> str:
    """Path of something below a folder."""
    return file_systems(folder).join(folder, *parts)


def match(pattern: str) -> list[File]:
    """The files that a path or a glob pattern names, by path.

    A path that is there is that file, whatever its characters mean in a glob.
    """
    files = file_systems(pattern).get_filesystem(pattern)
    if not pattern.endswith("/") and exists(pattern):
        found = [files.metadata(pattern)]
    elif is_stored(pattern) and not glob.has_magic(pattern):
        found = []
    else:
        found = files.match([pattern])[0].metadata_list
    return sorted(File(m.path, m.size_in_bytes) for m in found)


def data_files(pattern: str) -> list[File]:
    """The files of a path or glob, without hidden ones.

    A folder stands for the files in it and below, and so do the folders that a glob
    names where it names no file. What a program leaves beside its data starts with
    "_" or "." (`_SUCCESS`, `.part-0.crc`) and is left out, unless it is the path.
    """
    found = [file for file in match(pattern) if not os.path.isdir(file.path)]
    if [file.path for file in found] == [pattern]:
        return found
    found = _visible(found, pattern)
    if not found and is_stored(pattern):
        found = _visible(match(pattern.rstrip("/") + "/**"), pattern)
    elif not found:
        is_there = os.path.exists(pattern)
        folders = [pattern] if is_there else sorted(glob.glob(pattern, recursive=True))
        below = (f for folder in folders for f in files_in(folder).values())
        found = _visible(below, pattern)
    return found


def _visible(files: Iterable[File], pattern: str) -> list[File]:
    """Those without a hidden name below the folder that the pattern starts at."""
    base = pattern
    if glob.has_magic(pattern) and not exists(pattern):
        base = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]
    return sorted(
        {
            file
            for file in files
            if not any(map(_is_hidden, file.path[len(base) :].split("/")))
        }
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(("_", "."))


def files_in(folder: str) -> dict[str, File]:
    """The files of a folder and its subfolders, by their path below it."""
    folder = folder.rstrip("/") + "/"
    if is_stored(folder):
        files = match(glob.escape(folder) + "**")
    else:
        files = sorted(_local_files(folder))
    return {file.path[len(folder) :]: file for file in files}


def _local_files(folder: str) -> Iterator[File]:
    for parent, _, names in os.walk(folder):
        for path in (os.path.join(parent, name) for name in names):
            with contextlib.suppress(FileNotFoundError):  # renamed by a worker
                yield File(path, os.path.getsize(path))


def exists(path: str) -> bool:
    """Whether there is a file or folder at `path`."""
    return (stores if is_stored(path) else file_systems(path)).exists(path)


def open_read(path: str, decompress: bool = False) -> BufferedIOBase:
    """Opens a file for reading bytes; `decompress` goes by its suffix."""
    if is_stored(path):
        file = file_systems(path).open(path, compression_type=_RAW)
    else:
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
    # Not Beam's decompression, which takes a file cut short for a whole one.
    if decompress and is_compressed(path):
        return _DECOMPRESSORS[_suffix(path)](file)
    return file


def create(path: str) -> BufferedIOBase:
    """Opens a new file for writing bytes."""
    return file_systems(path).create(path, compression_type=_RAW)


def is_compressed(path: str) -> bool:
    """Whether the file's suffix says that it is compressed."""
    return _suffix(path) in _DECOMPRESSORS


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def read_bytes(path: str) -> bytes:
    """The whole content of a file."""
    with open_read(path) as file:
        return file.read()


def write_bytes(path: str, data: bytes) -> None:
    """Writes a file that appears whole or not at all."""
    with atomic_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[BufferedIOBase]:
    """A file to write, which appears whole when all went well, or not at all.

    An interrupted or repeated attempt leaves what has that name alone or whole.
    """
    write = _upload_when_done if is_stored(path) else _rename_when_done
    with write(path) as file:
        yield file


@contextlib.contextmanager
def _rename_when_done(path: str) -> Iterator[BufferedIOBase]:
    folder, name = os.path.split(path)
    make_folder(folder)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextlib.contextmanager
def _upload_when_done(path: str) -> Iterator[BufferedIOBase]:
    # An object appears when its upload ends, and a failed one may end it as well.
    with tempfile.TemporaryFile() as file:
        yield file
        if not file.tell():
            stores.create_empty(path)
            return
        file.seek(0)
        with create(path) as stored:
            shutil.copyfileobj(file, stored, _UPLOAD_BYTES)


def make_folder(path: str) -> None:
    """Makes a folder; no error if it is there (another worker may be first)."""
    has_folders = file_systems(path).get_filesystem(path).has_dirs()
    if not has_folders or exists(path):
        return
    try:
        file_systems(path).mkdirs(path)
    except OSError:
        if not exists(path):
            raise


def delete(paths: list[str]) -> None:
    """Deletes files; those already gone are fine."""
    stores.delete([path for path in paths if is_stored(path)])
    for path in paths:
        if not is_stored(path):
            Path(path).unlink(missing_ok=True)


def delete_folder(path: str) -> None:
    """Deletes a folder and all that is in it; fine if there is none."""
    if is_stored(path):  # object stores have no folders, only names
        delete([file.path for file in files_in(path).values()])
    else:
        shutil.rmtree(path, ignore_errors=True)


def move_files(source: str, target: str, last: str) -> None:
    """Moves the files of a folder, subfolders included, that named `last` last."""
    names = list(files_in(source))
    for group in ([n for n in names if n != last], [n for n in names if n == last]):
        targets = [f"{target.rstrip('/')}/{name}" for name in group]
        for folder in {file_systems(path).split(path)[0] for path in targets}:
            make_folder(folder)
        file_systems(target).rename([f"{source}/{name}" for name in group], targets)


def matching(folder: str, *patterns: str) -> list[str]:
    """The files of a folder whose names match any pattern."""
    return [
        file.path
        for name, file in files_in(folder).items()
        if "/" not in name and _matches(name, patterns)
    ]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def upload_folder(local: str, target: str) -> None:
    """Copies the files of a local folder, subfolders included."""
    for path in sorted(p for p in Path(local).rglob("*") if p.is_file()):
        relative = path.relative_to(local).parts
        write_bytes(join(target, *relative), path.read_bytes())


@lru_cache(maxsize=8)
def local_copy(folder: str) -> str:
    """A local folder with the encoding in `folder`, which no longer changes."""
    if not is_stored(folder):
        return folder
    local = tempfile.mkdtemp(prefix="hgr_tf_")
    for name, file in files_in(folder).items():
        if _matches(name, ("spec.yaml", "encoding.json", "vocabularies/*")):
            target = Path(local, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_bytes(file.path))
    return local
