"""Options that give a runner worker processes, and the processes of a run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from hgr_tf.pipelines import run
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.running.processes import running, wait_until
from hgr_tf.pipelines.running.workers import worker_processes


def given(options):
    return PipelineOptions(options).get_all_options()


@pytest.mark.parametrize(
    ("runner", "option", "value"),
    [
        ("FlinkRunner", "parallelism", 3),
        ("SparkRunner", "spark_master_url", "local[3]"),
    ],
)
def test_engine_starts_so_many_workers_by_a_program_that_is_there(
    runner, option, value
):
    with worker_processes(runner, 3, []) as options:
        found = given(options)
        program = json.loads(found["environment_config"])["command"]
        assert os.access(program, os.X_OK)
    assert found["environment_type"] == "PROCESS"
    assert found["sdk_worker_parallelism"] == "3"
    assert found[option] == value
    assert not os.path.exists(program)


@pytest.mark.parametrize(("workers", "parallelism"), [(1, -1), (2, 2)])
def test_each_task_manager_of_a_cluster_has_a_worker_of_its_own(workers, parallelism):
    master = "--flink_master=localhost:8081"
    with worker_processes("FlinkRunner", workers, [master]) as options:
        found = given(options)
    assert found["environment_type"] == "PROCESS"
    assert found["sdk_worker_parallelism"] == "1"
    assert found["parallelism"] == parallelism  # -1 leaves it to the cluster


def test_workers_that_the_user_describes_are_as_many_as_asked_for():
    options = ["--flink_master=localhost:8081", "--environment_type=DOCKER"]
    with worker_processes("FlinkRunner", 2, options) as more:
        assert more == ["--parallelism=2"]


def test_cluster_of_spark_keeps_its_address():
    with worker_processes("SparkRunner", 2, ["--spark_master_url=spark://a:1"]) as more:
        assert not [option for option in more if "spark_master_url" in option]


@pytest.mark.parametrize(
    ("runner", "workers", "options"),
    [
        ("FnApiRunner", 1, []),
        ("FlinkRunner", 1, []),
        ("DataflowRunner", 2, []),
        ("SparkRunner", 1, ["--spark_master_url=local[*]"]),
    ],
)
def test_other_workers_are_left_to_the_runner(runner, workers, options):
    with worker_processes(runner, workers, options) as more:
        assert more == []


@pytest.mark.parametrize(
    ("runner", "option", "value"),
    [
        ("FnApiRunner", "direct_num_workers", 5),
        ("FlinkRunner", "parallelism", 8),
        ("FlinkRunner", "sdk_worker_parallelism", "4"),
        ("SparkRunner", "spark_master_url", "local[8]"),
        ("SparkRunner", "spark_master_url", "spark://master:7077"),
    ],
)
def test_what_the_user_says_to_beam_wins(monkeypatch, runner, option, value):
    found = {}
    monkeypatch.setattr(
        run, "run_supervised", lambda _, options: found.update(given(options))
    )
    run._run_job(None, runner, 2, [f"--{option}={value}"])
    assert found[option] == value


def test_what_a_process_started_ends_with_it(tmp_path):
    log, child = tmp_path / "log", tmp_path / "child"
    program = f"sleep 99 & echo $! >{child}.part; mv {child}.part {child}; wait"
    with running(["sh", "-c", program], log) as process:
        wait_until(child.exists, "it", [process], log)
    command = ["ps", "-o", "stat=", child.read_text().strip()]
    state = subprocess.run(command, capture_output=True, text=True).stdout
    assert state.strip()[:1] in ("", "Z")  # ZN, say, where tests are nice


def test_what_was_started_ends_with_the_process_that_is_killed(tmp_path):
    program = (
        "import pathlib, time\n"
        "from hgr_tf.pipelines.running.processes import running\n"
        "with running(['sleep', '99'], pathlib.Path('log')) as process:\n"
        "    print(process.pid, flush=True)\n"
        "    time.sleep(99)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=tmp_path, text=True
    ) as parent:
        child = parent.stdout.readline().strip()
        parent.kill()
    deadline = time.monotonic() + 30
    command = ["ps", "-o", "stat=", child]
    while subprocess.run(command, capture_output=True, text=True).stdout.strip()[
        :1
    ] not in ("", "Z"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_process_that_ends_at_its_start_is_told_with_its_last_line(tmp_path):
    log = Path(tmp_path, "log")
    program = "import sys; sys.exit('no such port')"
    with running([sys.executable, "-c", program], log) as process:
        process.wait()
        with pytest.raises(PrepareError, match="Flink ended at its start: no such po"):
            wait_until(lambda: False, "Flink", [process], log)
