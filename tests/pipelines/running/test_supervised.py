"""What is told of a job whose child process failed."""

import os

import pytest

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.running import supervised
from hgr_tf.pipelines.running.supervised import run_supervised


def test_error_before_the_job_runs_is_told_as_such(tmp_path, monkeypatch):
    def end(code):
        raise SystemExit(code)

    def refuse(*_):
        raise ValueError("no such column")

    job = tmp_path / "job"
    monkeypatch.setattr(supervised.pickle, "loads", lambda _: (0, [], 0, os.getppid()))
    monkeypatch.setattr(supervised.threading, "excepthook", None)
    monkeypatch.setattr(supervised.threading, "Thread", lambda **_: NoThread())
    monkeypatch.setattr(supervised.graph, "build", refuse)
    monkeypatch.setattr(supervised.os, "_exit", end)
    job.touch()
    with pytest.raises(SystemExit):
        supervised._main(job)
    assert job.with_suffix(".error").read_text() == "no such column"


class NoThread:
    def start(self):
        pass


@pytest.mark.parametrize(
    ("runner", "told"),
    [("FnApiRunner", "a worker process died"), ("FlinkRunner", "the job's process")],
)
def test_child_that_dies_without_a_word_is_named(monkeypatch, runner, told):
    monkeypatch.setattr(supervised.sys, "executable", "/bin/false")
    with pytest.raises(PrepareError, match=told):
        run_supervised(None, [f"--runner={runner}"])
