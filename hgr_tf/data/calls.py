"""Calls of TensorFlow's threads into Python, which are over when the process ends.

While Python is torn down, a thread that wants to run Python never returns. If it is one
that fills a dataset's buffer, TensorFlow waits for it forever as it deletes the
iterator: a process that ends in the middle of an epoch would hang.
"""

from __future__ import annotations

import atexit
import threading
import time

_SETTLED = 0.1
_LONGEST = 10.0
_LOOK_AGAIN = 0.01


class Calls:
    """A context of each call; as the process ends, it waits until there are none.

    Buffers that are full ask for no more: the calls are over when there was none for a
    tenth of a second. It waits for ten seconds at most.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = float("-inf")

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            self._last = time.monotonic()

    def wait_for_the_last(self) -> None:
        """Returns when the calls are over."""
        start = time.monotonic()
        while time.monotonic() < start + _LONGEST:
            with self._lock:
                settled = time.monotonic() - self._last > _SETTLED
                if settled and not self._running:
                    return
            time.sleep(_LOOK_AGAIN)


CALLS = Calls()
atexit.register(CALLS.wait_for_the_last)
