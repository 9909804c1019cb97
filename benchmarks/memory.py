"""The most memory that this process takes in a block."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path


class Peak:
    """Follows the memory of this process in a block.

    Attributes:
        bytes: The most beyond that before the block, once it is left.
    """

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Peak:
        self._before, self._peak = _resident(), _peak()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        # The kernel's own peak misses nothing, but may be of the time before.
        if (peak := _peak()) > self._peak:
            self.bytes = peak - self._before

    def _follow(self) -> None:
        while not self._done.wait(0.02):
            self.bytes = max(self.bytes, _resident() - self._before)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
