import io
import logging

from rich.console import Console

from hgr_tf.cli.stages import StageHandler


def logger(terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=80)
    handler = StageHandler(console)
    log = logging.Logger("hgr_tf.test")
    log.addHandler(handler)
    return log, text, handler


def test_off_a_terminal_each_stage_is_a_line():
    log, text, _ = logger(terminal=False)
    log.info("loading")
    log.info("writing")
    assert [line.split("] ")[1] for line in text.getvalue().splitlines()] == [
        "loading",
        "writing",
    ]


def test_off_a_terminal_few_of_many_steps_are_lines():
    log, text, _ = logger(terminal=False)
    for step in range(1_000):
        log.info("step", extra={"done": step, "total": 1_000})
    lines = text.getvalue().splitlines()
    assert len(lines) == 1 and lines[0].endswith("step: 0 of 1,000")


def test_a_terminal_gets_a_bar_that_is_taken_away():
    log, text, handler = logger(terminal=True)
    log.info("step", extra={"done": 3, "total": 7})
    handler.stop()
    assert "step" in text.getvalue() and "3/7" in text.getvalue()


def test_warnings_are_lines_of_their_own():
    log, text, _ = logger(terminal=False)
    log.warning("no user was seen")
    assert text.getvalue() == "hgr-tf: no user was seen\n"
