"""hgr-tf export, predict and serve, as a user calls them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hgr_tf.cli.main import main
from hgr_tf.export.inputs.log_rows import read_rows
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.versions import versions
from tests.export.models import ENCODING, trained_scores
from tests.export.server.processes import MODEL, local_server

ROWS = """\
user,city,age,item,brand,shelf,price,weight_g,tags,words,page
100,Paris,3.5,item-1,x,2,1.5,10,"1,30",red,home
101,,,item-2,,,,,,,
ten,,,item-3,,,,,,,
7,Köln,1e2,item-9,y,3.0,2.5,0,?,a|b,
1,2
"""


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


@pytest.fixture
def run_of_model(model, monkeypatch):
    """Stands for the run folder that training would have written."""
    loaded = SimpleNamespace(
        model=model, encoding=ENCODING, calibration=None, shrinkage=None, taus={}
    )
    monkeypatch.setattr("hgr_tf.training.load_run", lambda path, **_: loaded)


@pytest.fixture
def hgr_tf(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


def assert_scored(out, rows, model):
    lines = [json.loads(line) for line in out.splitlines()]
    assert [sorted(line) for line in lines] == [
        ["probability"],
        ["probability"],
        ["error"],
        ["probability"],
        ["error"],
    ]
    assert lines[2]["error"] == "user: not an integer"
    (batch,) = read_rows(rows, ENCODING.spec)
    scores = [line["probability"] for line in lines if "probability" in line]
    np.testing.assert_allclose(scores, trained_scores(model, batch.inputs), atol=1e-6)


def test_predict_scores_good_rows_and_explains_bad_ones(hgr_tf, base_path, rows, model):
    code, out, err = hgr_tf("predict", "--model", base_path, "--input", rows)
    assert_scored(out, rows, model)
    assert code == 1
    assert "2 of 5 rows could not be read" in err


def test_predict_writes_a_file_and_takes_one_version(hgr_tf, exported, rows, tmp_path):
    good = [line for i, line in enumerate(ROWS.splitlines(True)) if i not in (3, 5)]
    rows.write_text("".join(good), encoding="utf-8")
    target = tmp_path / "scores.jsonl"
    code, out, err = hgr_tf(
        "predict", "--model", exported, "--input", rows, "--output", target
    )
    assert (code, out) == (0, "")
    assert len(target.read_text().splitlines()) == 3
    assert "3 rows, 3 scored" in err


def test_predict_of_a_file_without_rows_writes_none(hgr_tf, base_path, rows):
    rows.write_text(ROWS.splitlines(True)[0])
    code, out, err = hgr_tf("predict", "--model", base_path, "--input", rows)
    assert (code, out) == (0, "")
    assert "0 rows, 0 scored" in err


def test_predict_on_a_server(hgr_tf, base_path, rows, model):
    with local_server(base_path) as server:
        code, out, _ = hgr_tf(
            *("predict", "--model", base_path, "--input", rows),
            *("--server", server.grpc, "--name", MODEL),
        )
        given = ("--model", base_path / "1", "--input", rows, "--version", 2)
        refused, _, err = hgr_tf(
            "predict", *given, "--server", server.grpc, "--name", MODEL
        )
        given = ("--model", base_path, "--input", rows, "--timeout", 1)
        rest, _, told = hgr_tf("predict", *given, "--server", server.rest)
    assert rest == 1 and "this is a REST port, and --server takes gRPC's" in told
    assert code == 1
    assert_scored(out, rows, model)
    assert refused == 1 and "NOT_FOUND" in err


def test_predict_says_in_a_line_why_it_cannot(hgr_tf, base_path, rows, tmp_path):
    cases = [
        (("--model", tmp_path / "absent"), "no version of a model there"),
        (("--model", base_path, "--version", 9), "no version 9; there are 1"),
        (("--model", base_path, "--input", tmp_path / "x.csv"), "no such file"),
        (("--model", base_path, "--server", "127.0.0.1:1", "--timeout", 1), "UNAVAIL"),
    ]
    for arguments, message in cases:
        code, _, err = hgr_tf("predict", "--input", rows, *arguments)
        assert code == 1
        assert message in err
        assert "Traceback" not in err


def test_predict_names_an_absent_column(hgr_tf, base_path, rows):
    rows.write_text("user,city\n1,Paris\n")
    code, _, err = hgr_tf("predict", "--model", base_path, "--input", rows)
    assert code == 1
    assert "no column 'age' for the feature 'age'; it has ['user', 'city']" in err


def test_export_verify_rollback(hgr_tf, run_of_model, tmp_path):
    output = tmp_path / "models"
    arguments = ("export", "--run", "run", "--output", output)
    code, out, _ = hgr_tf(*arguments, "--table-dtype", "float16", "--warmup", 3)
    assert code == 0
    assert re.search(r"float16 tables: [\d,]+ bytes instead of", out)
    assert f"{output}/1: verified and published" in out
    code, out, _ = hgr_tf(*arguments, "--verify-only")
    assert code == 0
    assert "1: clean" in out and "passed  twin" in out
    assert "1: answers its 3 warm-up records" in out
    shutil.copytree(output / "1", output / "2")
    code, out, _ = hgr_tf("export", "--output", output, "--rollback")
    assert code == 0
    assert "version 2 withdrawn, 1 is the newest" in out
    assert versions(output) == [1]
    code, _, err = hgr_tf("export", "--output", output, "--rollback")
    assert code == 1
    assert "a rollback needs two versions" in err


def test_onnx_without_tf2onnx_publishes_nothing(
    hgr_tf, run_of_model, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    arguments = ("--output", tmp_path / "m", "--onnx", tmp_path / "ranker.onnx")
    code, _, err = hgr_tf("export", "--run", "run", *arguments)
    assert code == 1
    assert "needs tf2onnx" in err
    assert not list(tmp_path.iterdir())


def test_onnx_in_the_place_of_a_folder_publishes_nothing(
    hgr_tf, run_of_model, tmp_path
):
    pytest.importorskip("tf2onnx")
    arguments = ("--output", tmp_path / "m", "--onnx", tmp_path)
    code, _, err = hgr_tf("export", "--run", "run", *arguments)
    assert code == 1
    assert f"--onnx must be a file, got the folder {tmp_path}" in err
    assert not list(tmp_path.iterdir())


def test_onnx_that_fails_publishes_nothing(hgr_tf, run_of_model, tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")

    def write_a_part(model, path, calibration):
        path.write_text("a part")
        raise ValueError("an op has no ONNX")

    monkeypatch.setattr("hgr_tf.export.saving.onnx.export_onnx", write_a_part)
    arguments = ("--output", tmp_path / "m", "--onnx", tmp_path / "ranker.onnx")
    code, _, err = hgr_tf("export", "--run", "run", *arguments)
    assert code == 1
    assert "an op has no ONNX" in err
    assert not list(tmp_path.iterdir())


def test_onnx_is_written_with_what_is_published_only(
    hgr_tf, run_of_model, tmp_path, monkeypatch
):
    pytest.importorskip("tf2onnx")
    monkeypatch.setattr(
        "hgr_tf.export.saving.onnx.export_onnx",
        lambda model, path, calibration: path.write_text("new"),
    )
    onnx = tmp_path / "ranker.onnx"
    onnx.write_text("old")
    arguments = ("export", "--run", "run", "--output", tmp_path / "m", "--onnx", onnx)
    code, _, _ = hgr_tf(*arguments, "--version", 0)
    assert (code, onnx.read_text()) == (1, "old")
    code, out, _ = hgr_tf(*arguments, "--warmup", 0)
    assert (code, onnx.read_text()) == (0, "new")
    assert f"{onnx}: written" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "ranker.onnx"]


@pytest.mark.slow
def test_export_keeps_what_it_publishes_and_the_newest(hgr_tf, run_of_model, tmp_path):
    for version in ("5", "6", "7"):
        (tmp_path / version).mkdir()
    arguments = ("--output", tmp_path, "--version", 3, "--keep", 2, "--warmup", 0)
    code, out, _ = hgr_tf("export", "--run", "run", *arguments, "--logits")
    assert (code, out) == (0, f"{tmp_path}/3: verified and published\n")
    assert versions(tmp_path) == [3, 6, 7]
    signatures = ServingSession(tmp_path / "3").signatures
    assert set(signatures["serving_default"].outputs) == {"logits", "probabilities"}


def test_predict_never_writes_over_its_input(hgr_tf, base_path, rows):
    arguments = ("predict", "--model", base_path, "--input", rows, "--output", rows)
    code, _, err = hgr_tf(*arguments)
    assert code == 1
    assert "--output must be another file than --input" in err
    assert rows.read_text(encoding="utf-8") == ROWS


def test_unknown_table_dtypes_are_wrong_usage(hgr_tf, tmp_path):
    arguments = ("--run", "run", "--output", tmp_path, "--table-dtype", "int4")
    code, _, err = hgr_tf("export", *arguments)
    assert code == 2
    assert "'int4' is not one of 'bfloat16', 'float16', 'int8'" in err


def test_export_needs_a_run(hgr_tf, tmp_path):
    code, _, err = hgr_tf("export", "--output", tmp_path)
    assert code == 1
    assert "--run must be given" in err


@pytest.fixture
def folder_of_scripts(tmp_path):
    """A working directory with a user's scripts of taken names."""
    for name in ("hgr_tf.py", "runpy.py"):
        (tmp_path / name).write_text("raise SystemExit('a script of the user')")
    return tmp_path


def test_verify_only_runs_the_package_whatever_lies_around(
    hgr_tf, base_path, folder_of_scripts, monkeypatch
):
    monkeypatch.chdir(folder_of_scripts)
    code, out, err = hgr_tf("export", "--output", base_path, "--verify-only")
    assert code == 0 and "hgr-tf:" not in err
    assert "1: answers its 30 warm-up records" in out


def test_serve_runs_without_keras_and_stops_when_told(base_path, folder_of_scripts):
    code = "import sys; del sys.path[0]; from hgr_tf.cli.main import main; main()"
    command = [sys.executable, "-c", code, "serve", "--model"]
    command += [str(base_path), "--port", "0", "--rest-port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder_of_scripts,
    ) as server:
        assert server.stdout.readline().startswith("serving ranker: grpc 127.0.0.1:")
        with open(f"/proc/{server.pid}/cmdline") as file:
            assert "hgr_tf.export.server" in file.read()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


def test_serve_without_a_model_ends_with_a_line(tmp_path):
    command = [sys.executable, "-m", "hgr_tf.export.server", "--model", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"hgr-tf serve: {tmp_path}: no version of a model there"
    )


def test_the_server_process_holds_neither_keras_nor_other_rooms(exported):
    code = f"""
import sys
from hgr_tf.export.runtime.protos import use_protos_only
use_protos_only()
import hgr_tf.export.server.__main__, hgr_tf.export.server.rest
import hgr_tf.export.server.grpc_services
from hgr_tf.export.runtime.session import ServingSession
session = ServingSession({str(exported)!r})
roots = {{name.split(".")[0] for name in sys.modules}}
assert not roots & {{"keras", "tf_keras", "apache_beam"}}, roots
ours = [name.split(".") for name in sys.modules if name.startswith("hgr_tf.")]
rooms = {{".".join(name[:2]) for name in ours}}
assert rooms == {{"hgr_tf.export"}}, rooms
assert "tensorflow.python" not in sys.modules
print(sorted(session.signatures))
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "serving_default" in done.stdout


@pytest.mark.slow
def test_predict_loads_neither_tensorflow_nor_beam(exported, tmp_path):
    """One row is scored in seconds, most of them the C library's."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    code = f"""
import sys
from hgr_tf.cli.main import app
app(["predict", "--model", {str(exported)!r}, "--input", {str(rows)!r}],
    standalone_mode=False)
roots = {{name.split(".")[0] for name in sys.modules}}
assert not roots & {{"tensorflow", "keras", "tf_keras", "apache_beam"}}, roots
import tensorflow as tf
assert int(tf.reduce_sum(tf.constant([1, 2]))) == 3
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "probability" in done.stdout
