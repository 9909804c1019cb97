"""What an engine needs is found, or asked for in one line."""

import hashlib
import http.server
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.run import prepare
from hgr_tf.pipelines.running.engines import engine_options

ROOT = Path(__file__).parents[3]
JAR = "beam-runners-flink-2.2-job-server-2.77.0.jar"


@pytest.fixture
def only(tmp_path, monkeypatch):
    """A PATH of one folder, into which a test puts programs by name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name):
        (folder / name).write_text("#!/bin/sh\n")
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
    """`make engines`, with a Maven repository on loopback."""

    @pytest.fixture
    def central(self, tmp_path):
        root = tmp_path / "central"
        root.mkdir()

        class Files(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(root))

            def log_message(self, *arguments):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield root, f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    def fetch(self, tmp_path, address):
        (tmp_path / "engines").mkdir()
        (tmp_path / "engines" / "prism").touch(0o755)  # no build in a test
        done = subprocess.run(
            ["tools/fetch_engines", str(tmp_path / "engines")],
            cwd=ROOT,
            env=os.environ | {"MAVEN_CENTRAL": address},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, root, content, sum_of):
        version = re.search(r"apache-beam==([\d.]+)", (ROOT / "setup.py").read_text())
        name = "beam-runners-flink-2.2-job-server"
        folder = root / "org/apache/beam" / name / version[1]
        folder.mkdir(parents=True)
        jar = folder / f"{name}-{version[1]}.jar"
        jar.write_bytes(content)
        digest = hashlib.sha512(sum_of).hexdigest()
        jar.with_name(f"{jar.name}.sha512").write_text(digest)
        return jar.name

    def test_jar_of_the_right_checksum_is_kept(self, tmp_path, central):
        root, address = central
        name = self.write(root, b"jar", b"jar")
        self.fetch(tmp_path, address)
        assert (tmp_path / "engines" / name).read_bytes() == b"jar"

    def test_damaged_jar_is_left_out(self, tmp_path, central):
        root, address = central
        name = self.write(root, b"damaged", b"jar")
        told = self.fetch(tmp_path, address)
        assert f"{name}: left out: its SHA-512 is not the one in" in told
        assert os.listdir(tmp_path / "engines") == ["prism"]

    def test_jar_that_is_not_served_is_told(self, tmp_path, central):
        told = self.fetch(tmp_path, central[1])
        assert "left out: curl: (22) The requested URL returned error: 404" in told
