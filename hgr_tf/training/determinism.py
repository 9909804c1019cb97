"""Ops that give the same bits in every run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tensorflow.python.framework import config


@contextlib.contextmanager
def deterministic_ops(wanted: bool) -> Iterator[None]:
    """Makes TensorFlow's ops deterministic for a while, if that is wanted.

    TensorFlow offers to do so for the rest of the process only.
    """
    if not wanted or config.is_op_determinism_enabled():
        yield
        return
    config.enable_op_determinism()
    try:
        yield
    finally:
        config.disable_op_determinism()
