"""A process that ends waits for calls that are running, and for those that follow."""

import threading
import time

import pytest

from hgr_tf.data import calls
from hgr_tf.data.calls import Calls


def test_without_a_dataset_it_does_not_wait(monkeypatch):
    monkeypatch.setattr(calls.time, "sleep", lambda _: pytest.fail("it waits"))
    Calls().wait_for_the_last()


def test_it_waits_for_calls_until_there_are_none():
    own, started, made = Calls(), threading.Event(), []
    own.expect()

    def fill_a_buffer():
        for batch in range(3):
            with own:
                started.set()
                time.sleep(0.2)
                made.append(batch)

    thread = threading.Thread(target=fill_a_buffer)
    thread.start()
    started.wait()
    own.wait_for_the_last()
    assert made == [0, 1, 2]
    thread.join()


def test_it_gives_up_on_a_call_that_does_not_end(monkeypatch):
    monkeypatch.setattr(calls, "_LONGEST", 0.05)
    own = Calls()
    own.expect()
    with own:
        own.wait_for_the_last()
        assert own._running == 1
