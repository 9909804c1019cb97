"""One run at a time in one output folder."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import socket
import threading
import uuid
from collections.abc import Iterator

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import (
    delete,
    join,
    make_folder,
    read_bytes,
    write_bytes,
)
from hgr_tf.pipelines.files.stores import file_systems, is_stored

FILE_NAME = ".lock"

BEAT_SECONDS = 20.0
"""How often a run renews its lock in an object store."""

DEAD_SECONDS = 120.0
"""Age past which such a lock is that of a run that was killed."""


@contextlib.contextmanager
def locked(output: str) -> Iterator[None]:
    """Keeps other runs out of a folder.

    The lock of a local folder ends with the process that holds it, whatever ends
    that. One in an object store is renewed while its run lives, and no longer
    counts `DEAD_SECONDS` after the last time.

    Raises:
        PrepareError: Another run works in the folder; the message says which.
    """
    with _locked_store(output) if is_stored(output) else _locked_local(output):
        yield


def _holder() -> bytes:
    return f"process {os.getpid()} on {socket.gethostname()}".encode()


def _refused(output: str, holder: bytes) -> PrepareError:
    return PrepareError(
        f"{output}: {holder.decode() or 'another run'} works there already; wait for "
        "its end, or give another output"
    )


@contextlib.contextmanager
def _locked_local(output: str) -> Iterator[None]:
    make_folder(output)
    path = join(output, FILE_NAME)
    file = _open_locked(path, output)
    try:
        os.ftruncate(file, 0)
        os.write(file, _holder())
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(file)


def _open_locked(path: str, output: str) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(file, 999)
            os.close(file)
            raise _refused(output, holder) from error
        # The holder before may have removed the file that was opened.
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file)):
            return file
        os.close(file)


@contextlib.contextmanager
def _locked_store(output: str) -> Iterator[None]:
    """Each run has a lock of its own, and goes on if it sees no other's.

    Stores list what was written before: of two runs, the later one sees the earlier
    one's lock. Two that start at the same moment may both be refused.
    """
    own = join(output, f"{FILE_NAME}-{uuid.uuid4().hex}")
    done = threading.Event()

    def renew() -> None:
        while not done.wait(BEAT_SECONDS):
            # Clients of stores raise errors of their own; the next time may go better.
            with contextlib.suppress(Exception):
                write_bytes(own, _holder())

    beat = threading.Thread(target=renew, daemon=True)
    write_bytes(own, _holder())
    try:
        if others := _others(output, own):
            raise _refused(output, _holder_of(others[0]))
        beat.start()
        yield
    finally:
        done.set()
        if beat.ident:
            beat.join()
        delete([own])


def _others(output: str, own: str) -> list[str]:
    """Locks of other runs that live; those of killed ones are removed."""
    pattern = join(glob.escape(output), f"{FILE_NAME}-*")
    found = file_systems(output).match([pattern])[0].metadata_list
    written = {file.path: file.last_updated_in_seconds for file in found}
    # By the clock of the store: those of machines may differ.
    dead = [p for p, time in written.items() if written[own] - time > DEAD_SECONDS]
    delete(dead)
    return [path for path in written if path not in (own, *dead)]


def _holder_of(lock: str) -> bytes:
    try:
        return read_bytes(lock)
    except OSError:  # that run has just ended
        return b""
