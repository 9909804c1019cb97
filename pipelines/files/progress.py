"""Progress while a run is under way, on any runner.

Workers leave an empty file, whose name tells stage and rows, for each part that
is done; the process that waits for them adds these up.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter

from rich.console import Console

from hgr_tf.pipelines.files.files import files_in, join, make_folder
from hgr_tf.pipelines.files.stores import create_empty

_FOLDER = "progress"
_SECONDS = 1.0
_LISTING_SHARE = 0.1
"""Of the time, at most, that listing the parts takes: there may be 100,000s of them."""

_STAGES = ("read", "bad", "encoded", "written")


def report_rows(temporary: str, stage: str, rows: int) -> None:
    """Tells that so many rows passed a stage."""
    folder = join(temporary, _FOLDER)
    make_folder(folder)
    create_empty(join(folder, f"{stage}-{rows}-{uuid.uuid4().hex}"))


def rows_by_stage(temporary: str) -> Counter[str]:
    """Rows that passed each stage so far."""
    rows: Counter[str] = Counter()
    for name in files_in(join(temporary, _FOLDER)):
        stage, count, _ = name.split("-")
        rows[stage] += int(count)
    return rows


class Progress:
    """Shows the rows by stage on stderr while its block runs."""

    def __init__(self, temporary: str, shown: bool = True):
        self._temporary, self._shown = temporary, shown
        self._console = Console(stderr=True)
        self._done = threading.Event()
        self._last = ""
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Progress:
        if self._shown:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._shown:
            self._thread.join()

    def _follow(self) -> None:
        with self._console.status("starting") as status:
            took = 0.0
            while not self._done.wait(max(_SECONDS, took / _LISTING_SHARE)):
                start = time.monotonic()
                rows = rows_by_stage(self._temporary)
                took = time.monotonic() - start
                text = ", ".join(f"{s} {rows[s]:,} rows" for s in _STAGES if rows[s])
                if text == self._last:
                    continue
                self._last = text
                if self._console.is_terminal:
                    status.update(text)
                else:
                    self._console.print(text)
