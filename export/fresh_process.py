"""Python processes that run a module of this package, wherever they start."""

from __future__ import annotations

import sys
from pathlib import Path

# `python -m` would look into the working directory first, and run what a user
# calls export.py there.
_RUN = """
import sys
module, home = sys.argv[1:3]
del sys.argv[1:3]
sys.path[:] = [*filter(None, sys.path), home]
import runpy
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def command_of(module: str, *arguments: str) -> list[str]:
    """The command that runs a module as `python -m` does from an empty folder."""
    home = str(Path(__file__).resolve().parents[1])
    return [sys.executable, "-c", _RUN, module, home, *arguments]
