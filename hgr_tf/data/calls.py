"""Lets a process end only when no thread of TensorFlow is running Python.

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
    """Counts the calls that TensorFlow's threads make into Python: a context of each.

    Buffers that are full ask for no more: the calls are over when there was none for a
    tenth of a second. The end of the process waits for ten seconds at most, and not at
    all where no dataset was made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._expected = False
        self._last = float("-inf")

    def expect(self) -> None:
        """Says that there is a dataset, whose calls may be about to come."""
        self._expected = True

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
        while self._expected and time.monotonic() < start + _LONGEST:
            with self._lock:
                quiet = time.monotonic() - max(self._last, start)
                if quiet > _SETTLED and not self._running:
                    return
            time.sleep(_LOOK_AGAIN)


CALLS = Calls()
atexit.register(CALLS.wait_for_the_last)
