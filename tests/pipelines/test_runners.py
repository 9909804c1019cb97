"""The same bytes on every runner; nothing that looks finished after a kill."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hgr_tf.data.manifest import Manifest
from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.running.engines import engine_options
from hgr_tf.pipelines.running.flink_cluster import flink_cluster
from hgr_tf.pipelines.running.local_cluster import local_cluster

SPEC = """
name: runners
user_id: user
item_id: item
label: click
duplicates: count
split: {by: random, fractions: {train: 0.8, val: 0.2}}
user: {user: {type: categorical, dtype: int64}, age: {type: numeric}}
item: {item: {type: categorical, dtype: int64}}
context: {speed: {type: numeric}}
tables: {user: {key: user}}
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of a few row groups, a bad row, a table and the spec."""
    folder = tmp_path_factory.mktemp("log")
    rng = np.random.default_rng(0)
    n = 20_000
    speed = rng.normal(size=n)
    speed[77] = np.nan
    table = pa.table(
        {
            "user": rng.integers(0, 500, n),
            "item": rng.zipf(1.5, n) % 3_000,
            "click": rng.integers(0, 2, n),
            "speed": speed,
        }
    )
    pq.write_table(table, folder / "log.parquet", row_group_size=3_000)
    users = pa.table({"user": np.arange(490), "age": rng.integers(10, 90, 490)})
    pq.write_table(users, folder / "users.parquet")
    (folder / "spec.yaml").write_text(SPEC)
    return folder


def run_on(log, folder, **arguments):
    return prepare(
        FeatureSpec.load(log / "spec.yaml"),
        [str(log / "log.parquet")],
        folder,
        user_table=log / "users.parquet",
        shard_rows=5_000,
        **arguments,
    )


@pytest.fixture(scope="module")
def expected(log, tmp_path_factory):
    return run_on(log, tmp_path_factory.mktemp("expected") / "out")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"workers": 2}, id="processes", marks=pytest.mark.slow),
        pytest.param(
            {
                "beam_options": [
                    "--direct_running_mode=multi_threading",
                    "--direct_num_workers=2",
                ]
            },
            id="threads",
        ),
    ],
)
def test_local_runners_write_the_same_manifest(log, tmp_path, expected, arguments):
    assert run_on(log, tmp_path / "out", **arguments) == expected
    assert expected.counters["rows_bad"] == 1


@pytest.mark.slow
def test_portable_workers_install_the_package_and_write_the_same(
    log, tmp_path, expected, monkeypatch
):
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    monkeypatch.chdir(root)  # where setup.py is
    with local_cluster() as options:
        manifest = run_on(
            log,
            tmp_path / "out",
            runner="PortableRunner",
            beam_options=[*options, "--setup_file=./setup.py"],
        )
    assert manifest == expected


def needs(runner):
    """Skips a test, with the reason, where an engine is not installed."""
    try:
        engine_options(runner, [])
    except PrepareError as error:
        pytest.skip(str(error))


def embedded():
    return contextlib.nullcontext([])


@contextlib.contextmanager
def standalone():
    with flink_cluster() as master:
        yield [master]


@pytest.mark.parametrize(
    ("runner", "workers", "engine"),
    [
        pytest.param("PrismRunner", 1, embedded, id="prism"),
        pytest.param("FlinkRunner", 1, embedded, id="flink"),
        pytest.param(
            "FlinkRunner", 2, embedded, id="flink-processes", marks=pytest.mark.slow
        ),
        pytest.param(
            "FlinkRunner", 2, standalone, id="flink-standalone", marks=pytest.mark.slow
        ),
        pytest.param("SparkRunner", 1, embedded, id="spark", marks=pytest.mark.slow),
        pytest.param(
            "SparkRunner", 2, embedded, id="spark-processes", marks=pytest.mark.slow
        ),
    ],
)
def test_engines_write_the_same_bytes(log, tmp_path, expected, runner, workers, engine):
    needs(runner)
    with engine() as options:
        found = run_on(
            log, tmp_path / "out", runner=runner, workers=workers, beam_options=options
        )
    assert found == expected  # with the SHA-256 of every file


def start(log, folder, *options):
    """`hgr-tf prepare` in a process group of its own, once it has read rows."""
    command = [sys.executable, "-m", "hgr_tf.cli.main", "prepare"]
    command += [f"--spec={log}/spec.yaml", f"--input={log}/log.parquet"]
    command += [f"--user-table={log}/users.parquet", f"--output={folder}"]
    process = subprocess.Popen(
        [*command, "--shard-rows=5000", *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    wait_until(lambda: list(folder.glob(".unfinished/*/progress/read-*")), process)
    return process


def wait_until(condition, process, seconds=900):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes():
    """The processes of this machine: (id, parent's id, session, command)."""
    command = ["ps", "-ww", "-eo", "pid=,ppid=,sid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True).stdout
    rows = [line.split(maxsplit=3) for line in listed.splitlines()]
    return [(*map(int, row[:3]), row[3]) for row in rows]


def workers_of(process):
    """Process ids of the workers of a job that runs in a child's session."""
    found = processes()
    sessions = {sid for _, parent, sid, _ in found if parent == process.pid}
    return [
        pid
        for pid, _, sid, program in found
        if sid in sessions
        and "sdk_worker_main" in program
        and not program.startswith("/bin/sh")
    ]


def below(root, word):
    """Ids of the processes below one, with a word in their command."""
    found, ids = processes(), {root}
    for _ in found:  # as deep as it may be
        ids |= {pid for pid, parent, _, _ in found if parent in ids}
    return [
        pid for pid, _, _, program in found if pid in ids - {root} and word in program
    ]


@pytest.mark.fault(
    "pipeline",
    "the whole job is killed (SIGKILL)",
    "no manifest; the same command succeeds with the same bytes",
)
def test_killed_job_leaves_nothing_finished_and_a_rerun_succeeds(
    log, tmp_path, expected
):
    folder = tmp_path / "out"
    process = start(log, folder)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (folder / "MANIFEST.json").exists()
    assert (folder / ".unfinished").exists()
    assert run_on(log, folder) == expected
    assert not (folder / ".unfinished").exists()


@pytest.mark.fault(
    "pipeline",
    "a worker process is killed, as for want of memory",
    "one line says so; no manifest; the same command succeeds",
)
@pytest.mark.slow
def test_killed_worker_fails_the_job_in_one_line_and_a_rerun_succeeds(
    log, tmp_path, expected
):
    folder = tmp_path / "out"
    process = start(log, folder, "--workers=2")
    wait_until(lambda: workers_of(process), process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in errors and "hgr-tf: " in errors.splitlines()[-1]
    assert not (folder / "MANIFEST.json").exists()
    assert "a worker process died" in errors
    assert run_on(log, folder) == expected


@pytest.mark.fault(
    "pipeline",
    "the engine dies (Prism)",
    "one line says so; no manifest; the same command succeeds",
)
@pytest.mark.slow
def test_killed_prism_fails_the_job_in_one_line_and_a_rerun_succeeds(
    log, tmp_path, expected
):
    needs("PrismRunner")
    folder = tmp_path / "out"
    process = start(log, folder, "--runner=PrismRunner")
    (prism,) = below(process.pid, "/prism ")
    os.kill(prism, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "hgr-tf: Beam's runner was lost" in errors.splitlines()[-1]
    assert not (folder / "MANIFEST.json").exists()
    assert run_on(log, folder) == expected


FLINK = ("--runner=FlinkRunner", "--workers=2")


@pytest.mark.slow
@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(
            "TaskManagerRunner",
            marks=pytest.mark.fault(
                "pipeline",
                "a task manager of Flink is killed",
                "the job goes on and writes the same bytes",
            ),
        ),
        pytest.param(
            "worker_boot",
            marks=pytest.mark.fault(
                "pipeline",
                "the workers of a Flink cluster are killed",
                "the job goes on with new ones and writes the same bytes",
            ),
        ),
    ],
)
def test_flink_replaces_what_is_killed_and_writes_the_same(
    log, tmp_path, expected, lost
):
    needs("FlinkRunner")
    folder = tmp_path / "out"
    with flink_cluster() as master:
        process = start(log, folder, *FLINK, "--", master)
        # Of the task managers one must stay; of the workers one has just read.
        found = below(os.getpid(), lost)
        for lost_one in found if lost == "worker_boot" else found[:1]:
            os.kill(lost_one, signal.SIGKILL)
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors
        assert failures_of_last_job(master)  # which it was retried after
    assert Manifest.load(folder) == expected


@pytest.mark.fault(
    "pipeline",
    "all task managers of Flink are killed",
    "one line says so; no manifest; the same command succeeds",
)
@pytest.mark.slow
def test_flink_that_loses_all_task_managers_fails_in_one_line_and_a_rerun_succeeds(
    log, tmp_path, expected
):
    needs("FlinkRunner")
    folder = tmp_path / "out"
    with flink_cluster() as master:
        process = start(log, folder, *FLINK, "--", master)
        for task_manager in below(os.getpid(), "TaskManagerRunner"):
            os.kill(task_manager, signal.SIGKILL)
        _, errors = process.communicate(timeout=900)
    assert process.returncode == 1
    assert "Traceback" not in errors and "hgr-tf: " in errors.splitlines()[-1]
    assert not (folder / "MANIFEST.json").exists()
    with flink_cluster() as master:
        found = run_on(
            log, folder, runner="FlinkRunner", workers=2, beam_options=[master]
        )
    assert found == expected


@pytest.mark.fault(
    "pipeline",
    "a run on a Flink cluster is interrupted, told to stop or killed",
    "its job is cancelled on the cluster; no manifest; the same command succeeds",
)
@pytest.mark.slow
def test_job_on_flink_ends_with_its_run(log, tmp_path, expected):
    needs("FlinkRunner")
    with flink_cluster() as master:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            folder = tmp_path / ending.name
            process = start(log, folder, *FLINK, "--", master)
            os.kill(process.pid, ending)
            process.communicate(timeout=120)
            left = ending == signal.SIGKILL
            assert process.returncode == (-signal.SIGKILL if left else 130)
            # By then it has ended, unless the run had no time to see to it.
            deadline = time.monotonic() + (60 if left else 0)
            while (state := last_job_of(master)) != "CANCELED":
                assert time.monotonic() < deadline, state
                time.sleep(0.2)
            assert not (folder / "MANIFEST.json").exists()
            assert (folder / ".unfinished").exists() == left
        found = run_on(
            log, folder, runner="FlinkRunner", workers=2, beam_options=[master]
        )
        assert last_job_of(master) == "FINISHED"
    assert found == expected


def last_job_of(master):
    """State of the job that a Flink cluster was sent last."""
    return _last_job(master)["state"]


def failures_of_last_job(master):
    """What went wrong in that job."""
    job = _last_job(master)["jid"]
    return ask(master, f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]


def _last_job(master):
    jobs = ask(master, "/jobs/overview")["jobs"]
    return max(jobs, key=lambda job: job["start-time"])


def ask(master, path):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address = f"http://{master.partition('=')[2]}{path}"
    with direct.open(address, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.fault(
    "pipeline",
    "Ctrl-C (SIGINT), or told to stop (SIGTERM)",
    "exit code 130; nothing is left behind",
)
@pytest.mark.parametrize(
    "ending",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_interrupt_leaves_no_trace(log, tmp_path, ending):
    folder = tmp_path / "out"
    process = start(log, folder)
    os.killpg(process.pid, ending)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not (folder / "MANIFEST.json").exists()
    assert not (folder / ".unfinished").exists()
    with pytest.raises(ValueError, match="not a finished output"):
        Manifest.load(folder)
