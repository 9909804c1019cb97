"""Versions of a model: the integer folders that TensorFlow Serving polls.

Loads neither TensorFlow nor hgr_tf.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

LARGEST_VERSION = 2**63 - 1
"""Servers hold a version in an int64."""

STAGING_PREFIX = ".tmp-"
"""Prefix of unfinished versions. Servers look at integer names only."""

WITHDRAWN_PREFIX = ".withdrawn-"
"""Prefix of versions that were rolled back; the number follows."""

STALE_SECONDS = 24 * 3600
"""Age at which an unfinished version is what a killed export left behind."""


def versions(base_path: str | Path) -> list[int]:
    """The published versions, ascending; empty for an absent folder.

    A folder counts under its number's own name: 7 does, 007 does not.
    """
    return sorted(
        number
        for number, path in _numbered(base_path)
        if path.name == str(number) and path.is_dir()
    )


def next_version(base_path: str | Path) -> int:
    """One past the largest number that is taken, or 1; see `check_free`."""
    return max((number for number, _ in _numbered(base_path)), default=0) + 1


def _numbered(base_path: str | Path) -> Iterator[tuple[int, Path]]:
    """What lies there under a number, withdrawn versions and files included."""
    base_path = Path(base_path)
    for path in base_path.iterdir() if base_path.is_dir() else ():
        name = path.name.removeprefix(WITHDRAWN_PREFIX)
        if name.isdecimal() and int(name) <= LARGEST_VERSION:
            yield int(name), path


def version_path(base_path: str | Path, version: int | None = None) -> Path:
    """Folder of a version, the newest one by default.

    Raises:
        ValueError: There is no such version.
    """
    published = versions(base_path)
    if not published:
        raise ValueError(f"{base_path}: no version of a model there")
    version = published[-1] if version is None else version
    if version not in published:
        raise ValueError(
            f"{base_path}: no version {version}; there are "
            f"{', '.join(map(str, published))}"
        )
    return Path(base_path) / str(version)


def staging_folder(base_path: str | Path) -> Path:
    """A name beside the versions, on their file system, not yet made."""
    Path(base_path).mkdir(parents=True, exist_ok=True)
    return Path(base_path) / f"{STAGING_PREFIX}{uuid.uuid4().hex}"


def publish(
    staged: str | Path, base_path: str | Path, version: int | None = None
) -> Path:
    """Makes a finished folder a version, in one step that a poller sees whole.

    Args:
        staged: A complete SavedModel, on the file system of `base_path`.
        base_path: Folder of the versions.
        version: An integer from 1 to `LARGEST_VERSION` that is not taken; by
            default the next one, whatever others publish meanwhile.

    Returns:
        The version's folder.

    Raises:
        ValueError: `version` is no such integer or is taken.
    """
    for path in [*Path(staged).rglob("*"), Path(staged)]:
        _sync(path)
    while True:
        number = next_version(base_path) if version is None else version
        target = Path(base_path) / str(number)
        try:
            check_free(base_path, number)
            os.rename(staged, target)
            break
        except (ValueError, OSError):
            # Another export may have taken the number since it was chosen.
            if version is not None or next_version(base_path) == number:
                raise
    _sync(Path(base_path))
    return target


def check_free(base_path: str | Path, version: int) -> None:
    """Raises `ValueError` unless `version` is a number that nothing there has.

    Neither a version, a withdrawn one, nor any other file or folder.
    """
    is_integer = isinstance(version, int) and not isinstance(version, bool)
    if not is_integer or not 1 <= version <= LARGEST_VERSION:
        raise ValueError(
            f"`version` must be an integer from 1 to {LARGEST_VERSION}, got {version!r}"
        )
    for number, path in _numbered(base_path):
        if number == version:
            raise ValueError(f"`version` must be new, got {version}: {path} exists")


def check_keep(keep: int | None) -> None:
    """Raises `ValueError` unless `keep` leaves a version."""
    if keep is not None and keep < 1:
        raise ValueError(f"`keep` must be at least 1, got {keep}")


def prune(base_path: str | Path, keep: int, spared: int | None = None) -> list[int]:
    """Removes all but the `keep` newest versions; returns those removed.

    A version is renamed away first, so that a poller never sees a part of it.

    Args:
        base_path: Folder of the versions.
        keep: How many stay.
        spared: A version that stays beside them, however old.
    """
    check_keep(keep)
    removed = [v for v in versions(base_path)[:-keep] if v != spared]
    for version in removed:
        with contextlib.suppress(FileNotFoundError):  # another export was quicker
            _remove(Path(base_path) / str(version))
    return removed


def remove_stale(base_path: str | Path) -> None:
    """Removes unfinished versions that nothing has touched for a day.

    The process that wrote one may have been on another machine, so its age
    decides. One that is still written after all is renamed away first: its
    export fails, and never publishes a part.
    """
    for path in Path(base_path).glob(f"{STAGING_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another export was quicker
            if path.stat().st_mtime < time.time() - STALE_SECONDS:
                _remove(path)


def roll_back(base_path: str | Path) -> tuple[int, int]:
    """Withdraws the newest version, so that servers return to the one before.

    Returns:
        The withdrawn version and the one that is now newest. The withdrawn
        one is kept as .withdrawn-<version>.

    Raises:
        ValueError: There are fewer than two versions, or the newest has the
            number of a withdrawn one.
    """
    published = versions(base_path)
    if len(published) < 2:
        raise ValueError(
            f"{base_path}: a rollback needs two versions, got {published or 'none'}"
        )
    bad, previous = published[-1], published[-2]
    hidden = Path(base_path) / f"{WITHDRAWN_PREFIX}{bad}"
    if hidden.exists():
        raise ValueError(
            f"{base_path}: version {bad} must not have been withdrawn before, got "
            f"{hidden.name}: move that folder away"
        )
    os.rename(Path(base_path) / str(bad), hidden)
    _sync(Path(base_path))
    return bad, previous


def _remove(path: Path) -> None:
    hidden = staging_folder(path.parent)
    os.rename(path, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flushes a file or folder to disk, so that a crash cannot undo it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
