"""The folder of a run: room for its results, and what is removed when."""

from __future__ import annotations

from pathlib import PurePosixPath

from hgr_tf.data.manifest import FILE_NAME
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import (
    delete,
    delete_folder,
    exists,
    files_in,
    join,
    make_folder,
    matching,
    read_bytes,
    write_bytes,
)
from hgr_tf.pipelines.settings import (
    DEAD_LETTERS,
    FAILED_DEAD_LETTERS,
    Settings,
)

TEMPORARY = ".unfinished"
_OWN_FILES = (
    "spec.yaml",
    "encoding.json",
    "statistics.json",
    "statistics.html",
    "schema.pbtxt",
    "*-?????-of-?????.*",
    ".*.tmp",
)


def clear(output: str, overwrite: bool, keep: bool = False) -> None:
    """Makes room for a run: removes what an earlier one left behind.

    Args:
        output: The folder.
        overwrite: Whether it may hold a finished run.
        keep: Whether what that run finished stays for now.

    Raises:
        PrepareError: The folder holds a finished run, and `overwrite` is False;
            or files that a run would replace, and no sign of an earlier run.
    """
    finished = exists(join(output, FILE_NAME))
    if finished and not overwrite:
        raise PrepareError(
            f"{output}: holds a finished run already; --overwrite replaces it"
        )
    if not keep and (finished or files_in(join(output, TEMPORARY))):
        # Should this be cut short, the next run knows whose files these are.
        write_bytes(join(output, TEMPORARY, "cleared"), b"")
        remove_results(output)
    others = [] if keep else _results(output)
    if others:
        raise PrepareError(
            f"{output}: holds {others[0]}, which is not of a finished run; "
            "the output needs a folder of its own"
        )
    stale = (FAILED_DEAD_LETTERS,) if keep else (DEAD_LETTERS, FAILED_DEAD_LETTERS)
    delete(matching(output, *stale))
    delete_folder(join(output, TEMPORARY))
    make_folder(output)


def _results(output: str) -> list[str]:
    words = matching(join(output, "vocabularies"), "*.txt", ".*.tmp")
    return [*matching(output, *_OWN_FILES), *words]


def remove_results(output: str) -> None:
    """Removes what a run wrote.

    The manifest goes first: what is half deleted must not look finished.
    """
    delete([join(output, FILE_NAME)])
    delete(_results(output))


def keep_dead_letters(run: Settings) -> None:
    """Keeps the dead letters of a failed run that was to replace a finished one."""
    for path in matching(run.results, DEAD_LETTERS):
        kept = join(run.output, f"failed-{PurePosixPath(path).name}")
        write_bytes(kept, read_bytes(path))


def remove_temporary(run: Settings) -> None:
    """Removes the temporary files of a run, and their folder once it is empty."""
    delete_folder(run.temporary)
    if not files_in(join(run.output, TEMPORARY)):
        delete_folder(join(run.output, TEMPORARY))
