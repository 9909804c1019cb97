"""Jobs that an engine elsewhere runs, and that end with the run that sent them.

Such a job is found by its name alone, so that whoever notices the end of a run can
cancel it: the run itself, or the process beside it where the run was killed. Beam's
job server of Flink cannot: its Cancel leaves a batch job running on the cluster.

    python -m hgr_tf.pipelines.running.remote_jobs --runner=FlinkRunner \
        --flink_master=HOST:8081 --job_name=NAME

cancels a job and waits for its end.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_grpc

_CANCEL_SECONDS = 60.0
_ANSWER_SECONDS = 10.0
_LATE_SECONDS = 1.0
"""How long a job that was sent may take to be listed."""

_NO_ANSWER = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    http.client.HTTPException,
    grpc.RpcError,
)
"""What comes of a cluster that is gone, busy, or something else than a cluster."""

_INSIDE_JOB_SERVER = ("[auto]", "[local]")
_NAME_OPTION = "beam:option:job_name:v1"
_ENDED_ON_FLINK = {"CANCELED", "FAILED", "FINISHED", "SUSPENDED"}
_ENDED = {
    job_api.JobState.DONE,
    job_api.JobState.FAILED,
    job_api.JobState.CANCELLED,
    job_api.JobState.DRAINED,
}


def is_remote(options: Sequence[str]) -> bool:
    """Tells whether the job would outlive the processes that a run starts.

    Args:
        options: Beam's options, the runner among them.
    """
    given = _parsed(options)
    return bool(_job_service(given) or _flink_address(given))


def named(options: Sequence[str]) -> str:
    """Gives Beam's option for a name of the job that no other job has."""
    return f"--job_name={name_of(options) or 'hgr-tf'}-{uuid.uuid4().hex[:12]}"


def name_of(options: Sequence[str]) -> str | None:
    """The name of a job among Beam's options."""
    name: str | None = _parsed(options)["job_name"]
    return name


def cancel(options: Sequence[str]) -> bool:
    """Cancels a job, and waits until it has ended.

    Args:
        options: Beam's options, with the name that `named` gave.

    Returns:
        Whether nothing of that name runs any more; False where nobody answers.
    """
    given = _parsed(options)
    flink, service, name = _flink_address(given), _job_service(given), given["job_name"]
    ended = []
    if service:
        with grpc.insecure_channel(service) as channel:
            ended.append(_cancel_by(_BeamJobs(channel, name)))
    if flink:
        ended.append(_cancel_by(_FlinkJobs(flink, name)))
    return all(ended)


def cancel_from_outside(options: Sequence[str]) -> None:
    """Cancels a job in a process of its own, which outlives this one."""
    subprocess.Popen(
        [sys.executable, "-m", __name__, *options],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end the block as Ctrl-C does, so that it can clean up.

    Signals that are ignored (nohup) or handled already stay as they are.
    """
    before: dict[signal.Signals, Any] = {}

    def end_once(number: int, frame: Any) -> None:
        for name in before:  # another one must not end the cleaning up
            signal.signal(name, signal.SIG_IGN)
        signal.default_int_handler(number, frame)

    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(name) is signal.SIG_DFL:
                before[name] = signal.signal(name, end_once)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class _Jobs(Protocol):
    """The jobs of one name, where they run."""

    def running(self) -> set[str]:
        """Ids of those that have not ended."""

    def cancel(self, job: str) -> None:
        """Tells one to end."""


class _FlinkJobs:
    """By the REST interface of Flink's job manager."""

    def __init__(self, address: str, name: str):
        self._address, self._name = address, name

    def running(self) -> set[str]:
        jobs = self._ask("/jobs/overview", "GET")["jobs"]
        own = [job for job in jobs if job["name"] == self._name]
        return {job["jid"] for job in own if job["state"] not in _ENDED_ON_FLINK}

    def cancel(self, job: str) -> None:
        self._ask(f"/jobs/{job}?mode=cancel", "PATCH")

    def _ask(self, path: str, method: str) -> Any:
        # A cluster is asked directly: a proxy is for what lies beyond the network.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self._address + path, method=method)
        with direct.open(request, timeout=_ANSWER_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")


class _BeamJobs:
    """By Beam's job service."""

    def __init__(self, channel: grpc.Channel, name: str):
        self._service, self._name = job_grpc.JobServiceStub(channel), name

    def running(self) -> set[str]:
        request = job_api.GetJobsRequest()
        jobs = self._service.GetJobs(request, timeout=_ANSWER_SECONDS).job_info
        own = [job for job in jobs if _name_in(job) == self._name]
        return {job.job_id for job in own if job.state not in _ENDED}

    def cancel(self, job: str) -> None:
        request = job_api.CancelJobRequest(job_id=job)
        self._service.Cancel(request, timeout=_ANSWER_SECONDS)


def _cancel_by(jobs: _Jobs) -> bool:
    """Tells whether all jobs have ended, once they were told to.

    An answer that fails is asked for again: a job manager may be busy for a while, and
    refuses to cancel what ends by itself. Where none ever came, for a short time.
    """
    deadline = time.monotonic() + _CANCEL_SECONDS
    quiet = time.monotonic() + _LATE_SECONDS
    told: set[str] = set()
    answered = False
    while time.monotonic() < deadline:
        try:
            running = jobs.running()
            answered = True
            for job in running - told:
                jobs.cancel(job)
                told.add(job)
        except _NO_ANSWER:
            if not answered and time.monotonic() > quiet:
                return False
        else:
            if not running and (told or time.monotonic() > quiet):
                return True
        time.sleep(0.2)
    return False


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = PipelineOptions([*options]).get_all_options()
    return given


def _job_service(given: dict[str, Any]) -> str | None:
    """Address of a job service; None of one that is part of this process."""
    endpoint = given["job_endpoint"]
    return None if endpoint in (None, "", "embed") else endpoint


def _flink_address(given: dict[str, Any]) -> str | None:
    """Address of the job manager; None of a Flink inside its job server."""
    master = given["flink_master"].strip()
    if given["runner"] != "FlinkRunner" or master in _INSIDE_JOB_SERVER:
        return None
    return (master if "://" in master else f"http://{master}").rstrip("/")


def _name_in(job: job_api.JobInfo) -> str | None:
    """The name among a job's options: Beam sends another one beside them."""
    fields = job.pipeline_options.fields
    return fields[_NAME_OPTION].string_value if _NAME_OPTION in fields else None


if __name__ == "__main__":
    sys.exit(0 if cancel(sys.argv[1:]) else "no answer, or the job still runs")
