"""What an engine needs is found, or asked for in one line."""

import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.running.engines import engine_options

ROOT = Path(__file__).parents[3]
JAR = "beam-runners-flink-1.19-job-server-2.62.0.jar"


@pytest.fixture
def only(tmp_path, monkeypatch):
    """A PATH of one folder, into which a test puts programs by name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, script=""):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


def test_runners_of_beam_itself_need_nothing(tmp_path, only):
    for runner in ("FnApiRunner", "DataflowRunner", "PortableRunner"):
        assert engine_options(runner, [], tmp_path) == []


def test_program_in_the_folder_is_named(tmp_path, only):
    only("java")
    for name in (JAR, "prism"):
        (tmp_path / name).touch()
    assert engine_options("FlinkRunner", [], tmp_path) == [
        f"--flink_job_server_jar={tmp_path / JAR}"
    ]
    assert engine_options("PrismRunner", [], tmp_path) == [
        f"--prism_location={tmp_path / 'prism'}"
    ]


def test_prism_on_the_path_is_found(tmp_path, only):
    only("prism")
    (option,) = engine_options("PrismRunner", [], tmp_path)
    assert option == f"--prism_location={tmp_path / 'bin' / 'prism'}"


@pytest.mark.parametrize(
    "option", ["--job_endpoint=localhost:1", "--prism_location=https://a/prism.zip"]
)
def test_what_the_user_names_stays(tmp_path, only, option):
    assert engine_options("PrismRunner", [option], tmp_path) == []


@pytest.mark.parametrize(
    ("runner", "program"),
    [
        ("PrismRunner", "prism"),
        ("FlinkRunner", "beam-runners-flink-"),
        ("SparkRunner", "beam-runners-spark-"),
    ],
)
def test_missing_program_is_asked_for_before_anything_is_read(
    tmp_path, only, runner, program
):
    only("java")
    with pytest.raises(PrepareError) as raised:
        engine_options(runner, [], tmp_path)
    text = str(raised.value)
    assert text.startswith(f"{runner} needs {program}")
    assert "make engines" in text and "\n" not in text


def test_named_program_that_is_absent_is_named(tmp_path, only):
    with pytest.raises(PrepareError, match="got nowhere/prism"):
        engine_options("PrismRunner", ["--prism_location=nowhere/prism"], tmp_path)


def test_missing_java_is_asked_for(tmp_path, only):
    with pytest.raises(PrepareError, match="FlinkRunner needs Java, and 'java' is no"):
        prepare(tmp_path / "absent.yaml", ["log"], tmp_path, runner="FlinkRunner")


class TestFetching:
    """`make engines`, with a Maven that tells what it was asked for."""

    def fetch(self, folder, *names):
        done = subprocess.run(
            [ROOT / "tools/fetch_engines", folder, *names],
            env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def maven(self, only, script):
        only("java")
        only("mvn", script)

    def test_maven_is_told_to_check_checksums(self, tmp_path, only):
        self.maven(only, f"echo $* >{tmp_path}/asked")
        assert self.fetch(tmp_path / "engines", "flink")[0] == 0
        asked = (tmp_path / "asked").read_text()
        assert "--strict-checksums" in asked and "--activate-profiles flink" in asked
        assert f"-Dfolder={tmp_path / 'engines'}" in asked

    def test_what_is_there_stays(self, tmp_path, only):
        self.maven(only, "exit 1")
        (tmp_path / JAR).touch()
        assert self.fetch(tmp_path, "flink")[0] == 0

    def test_jar_that_is_not_served_is_told(self, tmp_path, only):
        self.maven(only, "echo '[ERROR] Could not find artifact x'; exit 1")
        code, told = self.fetch(tmp_path, "flink")
        assert code == 1
        assert "flink: left out: [ERROR] Could not find artifact x" in told

    def test_jar_that_is_damaged_is_told(self, tmp_path, only):
        self.maven(
            only,
            "case $* in *--strict-checksums*) "
            "echo '[ERROR] Checksum validation failed for x'; exit 1;; esac",
        )
        code, told = self.fetch(tmp_path, "flink")
        assert code == 1
        assert "flink: left out: [ERROR] Checksum validation failed for x" in told

    def test_unknown_engine_is_refused(self, tmp_path, only):
        self.maven(only, "exit 0")
        code, told = self.fetch(tmp_path, "flnk")
        assert code == 2 and "flnk: no engine; there are prism, flink and" in told

    def test_one_engine_that_is_left_out_leaves_the_others(self, tmp_path, only):
        self.maven(only, "exit 1")
        (tmp_path / "prism").touch(0o755)
        code, told = self.fetch(tmp_path, "prism", "spark")
        assert code == 0 and "spark: left out" in told


def test_pom_pins_every_version():
    pom = ElementTree.parse(ROOT / "tools/engines/pom.xml")
    name = "{http://maven.apache.org/POM/4.0.0}"
    for kind in ("dependency", "plugin"):
        for found in pom.iter(name + kind):
            version = found.findtext(name + "version")
            assert re.fullmatch(r"[\d.]+|\$\{[a-z0-9]+\.version\}", version), version
