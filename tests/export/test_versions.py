"""Publishing: a poller sees whole versions only, whatever happens."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from hgr_tf.export import export_for_serving
from hgr_tf.export.client import Client
from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.versions import (
    STALE_SECONDS,
    next_version,
    prune,
    publish,
    remove_stale,
    roll_back,
    staging_folder,
    version_path,
    versions,
)
from tests.export.models import ENCODING, NAMES, small_ranker, trained_scores
from tests.export.server.processes import MODEL, local_server

FILES = 8


def stage(base_path, content="x", files=FILES):
    """A stand-in for a SavedModel: files that all hold the same text."""
    folder = staging_folder(base_path)
    folder.mkdir()
    for i in range(files):
        (folder / f"{i}.txt").write_text(content)
    return folder


def publish_next(base_path):
    version = next_version(base_path)
    return publish(stage(base_path, str(version)), base_path, version)


def test_versions_count_up_and_only_integers_count(tmp_path):
    assert versions(tmp_path / "absent") == []
    assert publish_next(tmp_path / "m").name == "1"
    for name in ("007x", ".tmp-1", "latest"):
        (tmp_path / "m" / name).mkdir()
    assert publish_next(tmp_path / "m").name == "2"
    assert versions(tmp_path / "m") == [1, 2]
    assert version_path(tmp_path / "m").name == "2"


def test_a_number_that_something_else_has_is_passed_over(tmp_path):
    (tmp_path / "1").write_text("a file, not a version")
    (tmp_path / "007").mkdir()
    (tmp_path / str(2**63)).mkdir()  # past what a server reads
    assert versions(tmp_path) == []
    assert publish(stage(tmp_path), tmp_path).name == "8"
    with pytest.raises(ValueError, match=r"must be new, got 7: .*007 exists"):
        publish(stage(tmp_path), tmp_path, 7)
    assert versions(tmp_path) == [8]


def test_publishing_ends_when_no_number_is_left(tmp_path):
    publish(stage(tmp_path), tmp_path, 2**63 - 1)
    with pytest.raises(ValueError, match=f"to {2**63 - 1}, got {2**63}"):
        publish(stage(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (0, "must be an integer from 1 to .*, got 0"),
        (2**63, f"must be an integer from 1 to .*, got {2**63}"),
        (1.5, "must be an integer from 1 to .*, got 1.5"),
        (True, "must be an integer from 1 to .*, got True"),
        ("5", "must be an integer from 1 to .*, got '5'"),
        (1, "must be new, got 1"),
    ],
)
def test_a_version_must_be_an_int64_that_is_new(tmp_path, version, message):
    publish_next(tmp_path)
    staged = stage(tmp_path)
    with pytest.raises(ValueError, match=message):
        publish(staged, tmp_path, version)
    assert versions(tmp_path) == [1]


def test_prune_keeps_the_newest(tmp_path):
    for _ in range(5):
        publish_next(tmp_path)
    assert prune(tmp_path, 2) == [1, 2, 3]
    assert versions(tmp_path) == [4, 5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["4", "5"]


def test_prune_spares_an_older_version_on_demand(tmp_path):
    for version in (5, 6, 3):
        publish(stage(tmp_path), tmp_path, version)
    assert prune(tmp_path, 1, spared=3) == [5]
    assert versions(tmp_path) == [3, 6]


def test_a_number_taken_meanwhile_is_passed_over(tmp_path, monkeypatch):
    publish_next(tmp_path)
    stale = iter([1])  # what a slower export believes to be free
    monkeypatch.setattr(
        "hgr_tf.export.versions.next_version",
        lambda path: next(stale, next_version(path)),
    )
    assert publish(stage(tmp_path), tmp_path).name == "2"
    assert versions(tmp_path) == [1, 2]


def test_a_version_is_not_withdrawn_over_another(tmp_path):
    publish_next(tmp_path)
    publish_next(tmp_path)
    (tmp_path / ".withdrawn-2").mkdir()
    (tmp_path / ".withdrawn-old").mkdir()  # no version's
    with pytest.raises(ValueError, match=r"must not have been withdrawn .*move that"):
        roll_back(tmp_path)
    assert versions(tmp_path) == [1, 2]
    assert next_version(tmp_path) == 3


def test_roll_back_withdraws_the_newest_and_numbers_go_on(tmp_path):
    publish_next(tmp_path)
    publish_next(tmp_path)
    assert roll_back(tmp_path) == (2, 1)
    assert versions(tmp_path) == [1]
    assert next_version(tmp_path) == 3  # 2 is not used again for something else
    with pytest.raises(ValueError, match="needs two versions"):
        roll_back(tmp_path)
    with pytest.raises(ValueError, match=r"must be new, got 2: .*withdrawn-2 exists"):
        publish(stage(tmp_path), tmp_path, 2)


@pytest.mark.fault(
    "export",
    "an export was killed and left files",
    "they are no version, and are removed a day later",
)
def test_what_a_killed_export_left_is_removed_a_day_later(tmp_path):
    publish_next(tmp_path)
    recent, stale = stage(tmp_path), stage(tmp_path)
    day_ago = time.time() - STALE_SECONDS - 60
    for folder in (stale, tmp_path / "1"):
        os.utime(folder, (day_ago, day_ago))
    remove_stale(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([recent, tmp_path / "1"])


def test_unknown_versions_are_named(tmp_path):
    with pytest.raises(ValueError, match="no version of a model there"):
        version_path(tmp_path)
    publish_next(tmp_path)
    with pytest.raises(ValueError, match="no version 3; there are 1"):
        version_path(tmp_path, 3)


@pytest.mark.slow
def test_a_poller_never_sees_a_part_of_200_published_versions(tmp_path):
    publish_next(tmp_path)
    done, partial, looks = threading.Event(), [], 0

    def poll():
        nonlocal looks
        while not done.is_set():
            newest = versions(tmp_path)[-1]
            folder = tmp_path / str(newest)
            try:
                held = [(folder / f"{i}.txt").read_text() for i in range(FILES)]
            except FileNotFoundError:
                # Withdrawn between the two looks; never half there.
                if newest in versions(tmp_path):
                    partial.append(newest)
                continue
            looks += 1
            if set(held) != {str(newest)}:
                partial.append(newest)

    poller = threading.Thread(target=poll)
    poller.start()
    for i in range(200):
        publish_next(tmp_path)
        if i % 20 == 19:
            roll_back(tmp_path)
            prune(tmp_path, 3)
    done.set()
    poller.join()
    assert not partial
    assert looks > 50


@pytest.mark.fault(
    "export",
    "killed at the last fsync, or at the rename",
    "the version before is served; no part of the new one is",
)
@pytest.mark.parametrize(
    "call", ["fsync", pytest.param("rename", marks=pytest.mark.slow)]
)
def test_an_export_killed_as_it_publishes_leaves_the_served_version(call, tmp_path):
    ranker = small_ranker()
    arguments = {"encoding": ENCODING, "signatures": ["serving_default"], "warmup": 1}
    export_for_serving(ranker, tmp_path, **arguments)
    code = f"""
        import os, signal
        from hgr_tf.export import export_for_serving, publishing
        from tests.export.models import ENCODING, small_ranker
        def publish_and_die(*arguments):
            os.{call} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            publish(*arguments)
        publish, publishing.publish = publishing.publish, publish_and_die
        export_for_serving(
            small_ranker(2), {str(tmp_path)!r}, encoding=ENCODING,
            signatures=["serving_default"], warmup=1)
    """
    with local_server(tmp_path) as server, Client(server.grpc, MODEL) as client:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        assert versions(tmp_path) == client.versions() == [1]
        (left,) = tmp_path.glob(".tmp-*")
        assert (left / "saved_model.pb").exists()
        raw = SampleRequests(ENCODING, NAMES).raw(20)
        scores = client.predict(raw)["probabilities"]
    np.testing.assert_allclose(scores, trained_scores(ranker, raw), atol=1e-6)


@pytest.mark.fault(
    "export",
    "killed in the middle of publishing",
    "the version before is served",
)
@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_publish_leaves_the_version_before(tmp_path):
    publish_next(tmp_path)
    code = f"""
        import itertools, sys
        sys.path.insert(0, {os.getcwd()!r})
        from tests.export.test_versions import publish_next
        print("ready", flush=True)
        while True:
            publish_next({str(tmp_path)!r})
    """
    for delay in (0.0, 0.013, 0.031, 0.07):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        for version in versions(tmp_path):
            folder = tmp_path / str(version)
            held = {p.read_text() for p in folder.iterdir()}
            assert held == {str(version)}
            assert len(list(folder.iterdir())) == FILES
    publish_next(tmp_path)  # what was left behind is in nobody's way
