"""Runs a version's warm-up records in a process like a server's.

`python -m hgr_tf.export.checking.replay FOLDER` exits with 0 when the SavedModel
loads and
answers every record, otherwise with 1 and the reason.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hgr_tf.export.runtime.fresh_process import command_of


class ReplayError(ValueError):
    """A version that a fresh process cannot load or run; it says why."""


def replay(folder: str | Path) -> int:
    """Replays in a new process, which has neither Keras nor hgr_tf.

    Returns:
        Number of records that were answered.

    Raises:
        ReplayError: The SavedModel does not load, or a record fails.
    """
    done = subprocess.run(
        command_of("hgr_tf.export.checking.replay", str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ReplayError(f"{folder}: does not run in a fresh process: {reason}")
    return int(done.stdout)


def _main(folder: str) -> None:
    from hgr_tf.export.runtime.protos import use_protos_only

    use_protos_only()
    from hgr_tf.export.runtime.c_library import SessionError
    from hgr_tf.export.runtime.replay_warmup import replay_warmup
    from hgr_tf.export.runtime.session import ServingSession

    try:
        print(replay_warmup(ServingSession(folder), folder))
    except SessionError as error:
        sys.exit(" ".join(error.message.split()))


if __name__ == "__main__":
    _main(*sys.argv[1:])
