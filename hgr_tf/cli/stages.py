"""What long work is doing, on stderr: a bar on a terminal, elsewhere plain lines.

Whatever works long logs what it begins to a logger below "hgr_tf", at level INFO:
`log.info("checking for training-only parts")`. With `extra={"done": 3, "total": 7}`
it also says how far it is; then few of many such records are shown.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn

from hgr_tf.cli.quiet import filter_stderr

SECONDS_BETWEEN_LINES = 5.0
"""Between two lines of one stage that says how far it is, off a terminal."""


class StageHandler(logging.Handler):
    """Shows each record as the stage that now runs.

    Args:
        console: Where to; stderr by default.
    """

    def __init__(self, console: Console | None = None):
        super().__init__(logging.INFO)
        self._console = console or Console(stderr=True, highlight=False)
        self._start = time.monotonic()
        self._next_line = 0.0
        self._bar: Progress | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a stage; a warning or an error is a line of its own."""
        text = record.getMessage()
        done, total = getattr(record, "done", None), getattr(record, "total", None)
        if record.levelno > logging.INFO:
            self._print(f"hgr-tf: {text}")
        elif self._console.is_terminal:
            self._move_bar(text, done, total)
        else:
            self._print_line(text, done, total)

    def stop(self) -> None:
        """Takes the bar away, before the command ends."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _move_bar(self, text: str, done: int | None, total: int | None) -> None:
        if self._bar is None:
            self._bar = Progress(
                SpinnerColumn(),
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(text)
            self._bar.start()
        (task,) = self._bar.task_ids
        self._bar.update(task, description=text, completed=done or 0)
        self._bar.tasks[0].total = total

    def _print_line(self, text: str, done: int | None, total: int | None) -> None:
        now = time.monotonic()
        if done is not None:
            if now < self._next_line:
                return
            text += f": {done:,}" + (f" of {total:,}" if total else "")
        self._next_line = now + SECONDS_BETWEEN_LINES
        self._print(f"[{now - self._start:4.0f} s] {text}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


@contextlib.contextmanager
def show_stages() -> Iterator[StageHandler]:
    """Shows the stages of what runs inside of it, and gives what shows them."""
    logger = logging.getLogger("hgr_tf")
    before = logger.level, logger.propagate
    handler = StageHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # else a library's handler shows them once more
    try:
        yield handler
    finally:
        handler.stop()
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


def load_tensorflow() -> None:
    """Imports TensorFlow, which takes seconds, with a word about it."""
    if "tensorflow" in sys.modules:
        return
    logging.getLogger(__name__).info("loading TensorFlow")
    filter_stderr()
    import tensorflow  # noqa: F401
