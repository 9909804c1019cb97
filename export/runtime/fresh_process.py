"""Python processes that run a module of this package, wherever they start."""

from __future__ import annotations

import sys

# `python -m` would look into the working directory first, and run what a user
# calls hgr_tf.py there.
_RUN = """
import sys
module = sys.argv.pop(1)
sys.path[:] = filter(None, sys.path)
import runpy
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def command_of(module: str, *arguments: str) -> list[str]:
    """The command that runs a module as `python -m` does from an empty folder."""
    return [sys.executable, "-c", _RUN, module, *arguments]
