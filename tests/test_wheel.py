"""What a wheel holds, and that it works with neither repository nor make."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("hgr_tf", "pipelines", "export", "docs", "setup.py", "pyproject.toml")
SOURCES += ("README.md", "LICENSE")


def run(*command, **options):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, as building leaves folders behind."""
    folder = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, folder / name)
    run(sys.executable, "-m", "build", "--wheel", "-o", folder / "dist", folder)
    (built,) = (folder / "dist").iterdir()
    return built


def test_a_wheel_holds_one_top_level_name_and_what_the_commands_read(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hgr_tf"}
    assert names >= {
        "hgr_tf/pipelines/run.py",
        "hgr_tf/pipelines/output/formats/parquet.py",
        "hgr_tf/export/signatures/rank.py",
        "hgr_tf/export/tf_serving/models.config",
        "hgr_tf/comparing/report.html.jinja",
        "hgr_tf/docs/training.md",
    }
    assert not any("tests" in name.split("/") for name in names)


def pythons():
    found = (
        run(ROOT / "tools/find_python", version).strip() for version in ("3.11", "3.13")
    )
    return [python for python in found if python]


@pytest.mark.slow
@pytest.mark.parametrize("python", pythons())
def test_the_demo_runs_from_a_wheel_in_a_clean_environment(wheel, python, tmp_path):
    bin_folder = tmp_path / "env/bin"
    if uv := shutil.which("uv"):
        run(uv, "venv", "--python", python, tmp_path / "env")
        run(uv, "pip", "install", "--python", bin_folder / "python", wheel)
    else:
        run(python, "-m", "venv", tmp_path / "env")
        run(bin_folder / "pip", "install", wheel)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    given = dict(cwd=tmp_path, env=environment)
    out = run(bin_folder / "hgr-tf", "demo", "--rows", "3000", **given)
    assert '{"probability": 0.' in out
    assert "# Training" in run(bin_folder / "hgr-tf", "docs", "training", **given)
