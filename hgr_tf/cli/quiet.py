"""What libraries print that a user cannot act on is left out, in this one place.

Errors are never left out: what is unknown here passes.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import warnings

NOISE = (
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called",
    # The C++ log's information, such as oneDNN's, and that there is no GPU.
    rb"I\d{4} \d\d",
    rb"\d{4}-\d\d-\d\d [\d:.]+: I ",
    rb".*Unable to register cu\w+ factory",
    rb".*computation placer already registered",
    rb".*Could not find (cuda drivers|TensorRT)",
    rb".*TF-TRT Warning",
)
"""Starts of lines on stderr, as patterns, that TensorFlow writes past its own
TF_CPP_MIN_LOG_LEVEL."""

_silenced = False
_FILTER = """
import os, re, sys
noise = re.compile(b"|".join(p.encode() for p in sys.argv[1:]))
for line in iter(sys.stdin.buffer.readline, b""):
    if not noise.match(line):
        os.write(2, line)
"""


def silence() -> None:
    """Silences libraries' announcements; call it before TensorFlow is imported."""
    global _silenced
    _silenced = True
    # TensorFlow's C++ log is noise on a terminal; its errors are raised too.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Libraries announce the end of old Python versions.
    warnings.simplefilter("ignore", FutureWarning)
    # KerasNLP reads attributes that Keras 2 says it will remove.
    warnings.filterwarnings("ignore", r"`(Model\.state|layer\.)_?updates` will be")
    warnings.formatwarning = lambda message, *_, **__: f"hgr-tf: warning: {message}\n"
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger().addFilter(_is_for_users)


def filter_stderr() -> None:
    """Leaves lines of `NOISE` out of what C++ code writes to stderr from now on.

    The lines go through a process of their own, so that the last words of a
    process that is aborted are still printed. Python's own stderr stays as it is.
    """
    stderr = sys.__stderr__
    if not _silenced or stderr is None or sys.stderr is not stderr:
        return  # --debug, or somebody else reads this process's stderr
    stderr.flush()
    terminal = os.dup(2)
    read_end, write_end = os.pipe()
    arguments = [pattern.decode() for pattern in NOISE]
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _FILTER, *arguments],
        stdin=read_end,
        stderr=terminal,
        start_new_session=True,  # an interrupt is for the command alone
    )
    os.dup2(write_end, 2)
    os.close(read_end)
    os.close(write_end)
    sys.stderr = os.fdopen(os.dup(terminal), "w", buffering=1, errors="replace")
    atexit.register(_finish, child, terminal)


def _finish(child: subprocess.Popen, terminal: int) -> None:
    os.dup2(terminal, 2)  # ends the filter's input
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()


def _is_for_users(record: logging.LogRecord) -> bool:
    """Beam says this of each installation without Google Cloud's libraries."""
    return "apitools not found" not in str(record.msg)
