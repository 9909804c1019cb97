"""A job on a cluster ends with the run that sent it; without a cluster."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_grpc

from hgr_tf.pipelines.running import remote_jobs, supervised
from hgr_tf.pipelines.running.remote_jobs import cancel, is_remote, named
from hgr_tf.pipelines.running.supervised import run_supervised

NAME = "--job_name=ours"


class Cluster:
    """Flink's job manager, as far as jobs are listed and cancelled."""

    def __init__(self, states):
        self.jobs = {
            name: {"name": name, "jid": f"id-{name}", "state": state}
            for name, state in states.items()
        }
        self.cancelled = []

    def overview(self):
        listed = [dict(job) for job in self.jobs.values()]
        for job in self.jobs.values():  # as slow to end as Flink is
            if job["state"] == "CANCELLING":
                job["state"] = "CANCELED"
        return {"jobs": listed}

    def cancel(self, jid):
        self.cancelled.append(jid)
        for job in self.jobs.values():
            if job["jid"] == jid:
                job["state"] = "CANCELLING"


@contextlib.contextmanager
def served(cluster):
    """Gives Beam's options for the address of a cluster."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(cluster.overview())

        def do_PATCH(self):
            path, _, mode = self.path.partition("?")
            assert mode == "mode=cancel"
            cluster.cancel(path.removeprefix("/jobs/"))
            self._answer({})

        def _answer(self, content):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ["--runner=FlinkRunner", f"--flink_master=localhost:{server.server_port}"]
        server.shutdown()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(remote_jobs, "_LATE_SECONDS", 0.1)


def test_own_job_alone_is_cancelled_on_flink_and_its_end_awaited(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    cluster = Cluster({"ours": "RUNNING", "theirs": "RUNNING"})
    with served(cluster) as options:
        assert cancel([*options, NAME])
    assert cluster.cancelled == ["id-ours"]
    states = {name: job["state"] for name, job in cluster.jobs.items()}
    assert states == {"ours": "CANCELED", "theirs": "RUNNING"}


def test_job_that_is_listed_late_is_cancelled_too(monkeypatch):
    monkeypatch.setattr(remote_jobs, "_LATE_SECONDS", 5)
    cluster = Cluster({"theirs": "RUNNING"})

    def arrive():
        time.sleep(0.3)
        cluster.jobs["ours"] = {"name": "ours", "jid": "late", "state": "CREATED"}

    with served(cluster) as options:
        threading.Thread(target=arrive).start()
        assert cancel([*options, NAME])
    assert cluster.cancelled == ["late"]


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "CANCELED"])
def test_job_that_has_ended_is_left_alone(state):
    cluster = Cluster({"ours": state})
    with served(cluster) as options:
        assert cancel([*options, NAME])
    assert not cluster.cancelled


def test_cluster_that_does_not_answer_is_told_of():
    with served(Cluster({})) as options:
        pass
    assert not cancel([*options, NAME])


@pytest.mark.parametrize("error", [http.client.BadStatusLine("x"), TypeError("list")])
def test_a_bad_answer_is_asked_for_again(monkeypatch, error):
    cluster = Cluster({"ours": "RUNNING"})
    ask, errors = remote_jobs._FlinkJobs._ask, [error]

    def sometimes(jobs, path, method):
        if method == "PATCH" and errors:
            raise errors.pop()
        return ask(jobs, path, method)

    monkeypatch.setattr(remote_jobs._FlinkJobs, "_ask", sometimes)
    with served(cluster) as options:
        assert cancel([*options, NAME])
    assert cluster.cancelled == ["id-ours"]


def test_a_second_signal_does_not_end_the_cleaning_up():
    before = signal.getsignal(signal.SIGHUP)  # ignored under nohup
    with pytest.raises(KeyboardInterrupt), remote_jobs.ended_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)
            cleaned = True
    assert cleaned
    assert signal.getsignal(signal.SIGHUP) is before


def test_an_interrupted_cancel_goes_on_in_another_process(monkeypatch):
    told = []

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(remote_jobs, "cancel", interrupted)
    monkeypatch.setattr(remote_jobs, "cancel_from_outside", told.append)
    with pytest.raises(KeyboardInterrupt):
        supervised._cancel([NAME])
    assert told == [[NAME]]


def test_job_of_a_job_service_is_cancelled_by_beams_api():
    class Service(job_grpc.JobServiceServicer):
        def __init__(self):
            self.jobs = {n: job_api.JobInfo(job_id=n, job_name="job") for n in "ab"}
            for name, job in self.jobs.items():
                job.state = job_api.JobState.RUNNING
                called = {"a": "ours", "b": "theirs"}[name]
                job.pipeline_options["beam:option:job_name:v1"] = called

        def GetJobs(self, request, context):
            return job_api.GetJobsResponse(job_info=self.jobs.values())

        def Cancel(self, request, context):
            self.jobs[request.job_id].state = job_api.JobState.CANCELLED
            return job_api.CancelJobResponse()

    service, server = Service(), grpc.server(futures.ThreadPoolExecutor(2))
    job_grpc.add_JobServiceServicer_to_server(service, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    options = ["--runner=PortableRunner", f"--job_endpoint=localhost:{port}", NAME]
    assert is_remote(options) and cancel(options)
    server.stop(None)
    assert service.jobs["a"].state == job_api.JobState.CANCELLED
    assert service.jobs["b"].state == job_api.JobState.RUNNING


@pytest.mark.parametrize(
    ("options", "remote"),
    [
        (["--runner=FlinkRunner"], False),
        (["--runner=FlinkRunner", "--flink_master=[local]"], False),
        (["--runner=FlinkRunner", "--flink_master=host:8081"], True),
        (["--runner=FnApiRunner", "--flink_master=host:8081"], False),
        (["--runner=SparkRunner", "--job_endpoint=host:1"], True),
        (["--runner=PortableRunner", "--job_endpoint=embed"], False),
    ],
)
def test_what_outlives_a_run(options, remote):
    assert is_remote(options) == remote


def test_every_run_has_a_name_of_its_own():
    first, second = named([]), named(["--job_name=daily"])
    assert first.startswith("--job_name=hgr-tf-") and first != named([])
    assert second.startswith("--job_name=daily-")


STUB = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


class TestRun:
    """`run_supervised`, whose child only tells that it was started."""

    @pytest.fixture
    def child(self, tmp_path, monkeypatch):
        def start(script):
            started, program = tmp_path / "started", tmp_path / "python"
            (tmp_path / "stub.py").write_text(script)
            program.write_text(
                f"#!/bin/sh\nexec {sys.executable} {tmp_path}/stub.py {started}\n"
            )
            program.chmod(0o755)
            monkeypatch.setattr(supervised.sys, "executable", str(program))
            return started

        return start

    def test_interrupt_cancels_the_job(self, child):
        started = child(STUB)
        cluster = Cluster({"ours": "RUNNING"})

        def interrupt():
            while not started.exists():
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

        with served(cluster) as options, remote_jobs.ended_by_signals():
            threading.Thread(target=interrupt).start()
            with pytest.raises(KeyboardInterrupt):
                run_supervised(None, [*options, NAME])
        assert cluster.jobs["ours"]["state"] == "CANCELED"
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def test_failure_cancels_the_job(self, child):
        child("import sys; sys.exit(1)")
        cluster = Cluster({"ours": "RUNNING"})
        with served(cluster) as options, pytest.raises(ValueError, match="process"):
            run_supervised(None, [*options, NAME])
        assert cluster.jobs["ours"]["state"] == "CANCELED"

    def test_success_leaves_the_cluster_alone(self, child):
        child("")
        cluster = Cluster({"ours": "RUNNING"})
        with served(cluster) as options:
            run_supervised(None, [*options, NAME])
        assert not cluster.cancelled

    def test_job_that_may_go_on_is_named(self, child, caplog):
        child("import sys; sys.exit(1)")
        with served(Cluster({})) as options:
            pass
        with pytest.raises(ValueError, match="process"):
            run_supervised(None, [*options, NAME])
        assert "the job ours may still run" in caplog.text


@pytest.mark.parametrize(("master", "calls"), [("host:1", 2), ("[auto]", 0)])
def test_child_without_a_parent_has_its_job_cancelled(monkeypatch, master, calls):
    told = []
    monkeypatch.setattr(remote_jobs, "cancel", told.append)
    monkeypatch.setattr(remote_jobs, "cancel_from_outside", told.append)
    monkeypatch.setattr(supervised.os, "killpg", lambda *_: told.append("end"))
    options = ["--runner=FlinkRunner", f"--flink_master={master}", NAME]
    supervised._end_with(1, options)  # process 1 is no parent of ours
    assert told == [*[options] * calls, "end"]


@pytest.mark.slow
def test_killed_run_has_its_job_cancelled_by_the_process_beside_it():
    """Its parent is gone: kill -9 leaves no time to clean up."""
    cluster = Cluster({"ours": "RUNNING"})
    code = "import sys; from hgr_tf.pipelines.running import supervised as s; "
    code += "s._end_with(1, sys.argv[1:])"  # process 1 is no parent of ours
    with served(cluster) as options:
        command = [sys.executable, "-W", "ignore", "-c", code, *options, NAME]
        child = subprocess.Popen(command, start_new_session=True)
        assert child.wait(timeout=60) == -signal.SIGKILL
        deadline = time.monotonic() + 60
        while cluster.jobs["ours"]["state"] != "CANCELED":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with remote_jobs.ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
