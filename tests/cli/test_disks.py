"""Full and read-only disks: real ones, of a few kilobytes, mounted for a test."""

import json
import subprocess

import pytest

from hgr_tf.data.synthetic import write_logs

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path):
    """Mounts an empty disk of a size on a folder, or again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


@pytest.fixture
def logs(tmp_path):
    return write_logs(tmp_path / "logs", rows=20_000)


def assert_one_line(result, *words):
    code, _, err = result
    assert code == 1, err
    assert "Traceback" not in err
    assert err.count("hgr-tf: ") == 1
    assert all(word in err for word in words), err


@pytest.mark.fault(
    "pipeline",
    "the disk is full",
    "one line says so; no manifest; with room the same command succeeds",
)
def test_prepare_on_a_full_disk(run, disk, logs):
    folder = disk("size=200k")
    line = f"prepare --spec {logs.spec} --input {logs.log} --output {folder}/out"
    assert_one_line(run(line), "No space left on device")
    assert not (folder / "out" / "MANIFEST.json").exists()
    disk("remount,size=50m")
    assert run(line)[0] == 0
    splits = json.loads((folder / "out" / "MANIFEST.json").read_text())["splits"]
    assert sum(split["rows"] for split in splits.values()) == 20_000


@pytest.mark.fault(
    "pipeline", "the output is read-only", "one line names it; nothing is read"
)
def test_prepare_into_a_read_only_folder(run, disk, logs):
    folder = disk("ro")
    line = f"prepare --spec {logs.spec} --input {logs.log} --output {folder}/out"
    assert_one_line(run(line), "Read-only file system", str(folder))


@pytest.mark.fault(
    "training",
    "the disk is full",
    "one line says so; with room the same command ends with the same metrics",
)
def test_train_on_a_full_disk(run, disk, inside, place):
    assert run("train --config small.yaml --output whole")[0] == 0
    folder = disk("size=40k")
    line = f"train --config small.yaml --output {folder}/run"
    assert_one_line(run(line), "No space left on device")
    assert not (folder / "run" / "metrics.json").exists()
    disk("remount,size=50m")
    assert run(line)[0] == 0
    told = (folder / "run" / "metrics.json").read_text()
    assert told == (place / "whole" / "metrics.json").read_text()


@pytest.mark.fault("training", "the run folder is read-only", "one line names it")
def test_train_into_a_read_only_folder(run, disk, inside):
    folder = disk("ro")
    line = f"train --config small.yaml --output {folder}/run"
    assert_one_line(run(line), "Read-only file system", str(folder))


@pytest.mark.fault(
    "export",
    "the disk is full",
    "one line says so; no version; with room the same command succeeds",
)
def test_export_to_a_full_disk(run, disk, trained):
    folder = disk("size=60k")
    line = f"export --run {trained} --output {folder}/model"
    assert_one_line(run(line), "No space left on device")
    assert not list((folder / "model").glob("[0-9]*"))
    disk("remount,size=50m")
    assert run(line)[0] == 0
    assert (folder / "model" / "1" / "saved_model.pb").exists()


@pytest.mark.fault("export", "the folder of versions is read-only", "one line names it")
def test_export_into_a_read_only_folder(run, disk, trained):
    folder = disk("ro")
    line = f"export --run {trained} --output {folder}/model"
    assert_one_line(run(line), "Read-only file system", str(folder))
