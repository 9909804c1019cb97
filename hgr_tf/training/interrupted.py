"""Errors of a run that the same command goes on with."""

from __future__ import annotations

INTERRUPTED = 75
"""Exit code of `hgr-tf train` after SIGTERM; "try again", as in sysexits.h."""


class TrainingInterruptedError(ValueError):
    """Training was told to stop by SIGTERM, and its state is saved."""

    exit_code = INTERRUPTED


class WorkerLostError(TrainingInterruptedError):
    """Another worker of the run ended; what the chief last saved is there."""
