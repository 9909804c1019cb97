"""A process that ends waits for calls that are running, and for those that follow."""

import threading
import time

from hgr_tf.data import calls
from hgr_tf.data.calls import Calls


def timed(calls_):
    start = time.monotonic()
    calls_.wait_for_the_last()
    return time.monotonic() - start


def test_without_calls_it_does_not_wait():
    assert timed(Calls()) < 0.05


def test_it_waits_for_calls_until_there_are_none():
    own, ended = Calls(), []

    def fill_a_buffer():
        for _ in range(3):
            with own:
                time.sleep(0.3)
        ended.append(time.monotonic())

    thread = threading.Thread(target=fill_a_buffer)
    thread.start()
    time.sleep(0.1)
    timed(own)
    assert ended
    thread.join()
    assert timed(own) < 1


def test_it_gives_up_on_a_call_that_does_not_end(monkeypatch):
    monkeypatch.setattr(calls, "_LONGEST", 0.2)
    own = Calls()
    with own:
        assert timed(own) >= 0.2
