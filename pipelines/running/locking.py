"""One run at a time in one output folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import join, make_folder

FILE_NAME = ".lock"


@contextlib.contextmanager
def locked(output: str) -> Iterator[None]:
    """Keeps other runs out of a local folder; of object stores nothing is known.

    The lock ends with the process that holds it, whatever ends that.

    Raises:
        PrepareError: Another run works in the folder; the message says which.
    """
    if "://" in output:
        yield
        return
    make_folder(output)
    path = join(output, FILE_NAME)
    file = _open_locked(path, output)
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
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
            holder = os.read(file, 999).decode() or "another run"
            os.close(file)
            raise PrepareError(
                f"{output}: {holder} works there already; wait for its end, or give "
                "another output"
            ) from error
        # The holder before may have removed the file that was opened.
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file)):
            return file
        os.close(file)
