"""publish_checked: a version appears only after every check of it has passed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from hgr_tf.export.checking.leak_report import Report
from hgr_tf.export.checking.replay import replay
from hgr_tf.export.versions import (
    check_free,
    check_keep,
    prune,
    publish,
    remove_stale,
    staging_folder,
)

log = logging.getLogger(__name__)


def publish_checked(
    base_path: str | Path,
    version: int | None,
    write: Callable[[Path], None],
    check: Callable[[Path], Report],
    *,
    keep: int | None = None,
    approve: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a version beside the others, checks it, and gives it its number.

    Args:
        base_path: Folder of the model's versions.
        version: A positive integer; by default one past the newest.
        write: Writes the SavedModel with its warm-up records into a folder that
            does not exist yet.
        check: Looks for what must not be in it.
        keep: How many of the newest versions to keep beside this one; all by default.
        approve: Called last with the checked folder, to which it may add; what it
            raises is raised here, and nothing is published.

    Returns:
        The published folder.

    Raises:
        ValueError: The version is taken, or an argument is wrong.
        VerificationError: What was written holds what must not be in it.
        ReplayError: What was written does not run in a fresh process.
        In each case nothing is published.
    """
    check_keep(keep)
    if version is not None:
        check_free(base_path, version)
    remove_stale(base_path)
    staged = staging_folder(base_path)
    try:
        write(staged)
        check(staged).raise_if_leaking()
        log.info("answering the warm-up records in a fresh process")
        replay(staged)
        if approve is not None:
            approve(staged)
        published = publish(staged, base_path, version)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    if keep is not None:
        prune(base_path, keep, spared=int(published.name))
    return published
