"""The check of a download of KuaiRand-Pure, on folders that look like one."""

import runpy
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

SCRIPT = Path(__file__).parents[2] / "examples/kuairand_pure/check_download.py"


@pytest.fixture
def check():
    app = typer.Typer()
    names = runpy.run_path(str(SCRIPT))
    app.command()(names["main"])
    return names, lambda folder: CliRunner().invoke(app, [str(folder)])


def write(path, columns, rows):
    line = ",".join("1" for _ in columns) + "\n"
    path.write_text(",".join(columns) + "\n" + line * rows)


@pytest.fixture
def download(check, tmp_path):
    names, _ = check
    for name in names["LOGS"]:
        write(tmp_path / name, names["SPEC"].log_columns(), 3)
    for owner, (name, rows) in names["TABLES"].items():
        write(tmp_path / name, names["SPEC"].table_columns(owner), rows)
    return tmp_path


def test_a_whole_download_passes(check, download):
    _, run = check
    result = run(download)
    assert result.exit_code == 0, result.output
    assert "user_features_pure.csv: 27,285 rows" in result.output


def test_what_is_missing_or_short_is_named(check, download):
    names, run = check
    (download / names["LOGS"][0]).unlink()
    write(download / names["LOGS"][1], ["user_id", "is_click"], 2)
    write(download / "video_features_basic_pure.csv", ["video_id"], 1)
    users = download / "user_features_pure.csv"
    users.write_text("".join(users.read_text().splitlines(True)[:-1]))
    result = run(download)
    assert result.exit_code == 1
    for told in (
        f"{names['LOGS'][0]}: missing",
        "no column ['video_id', 'long_view', 'time_ms'",
        "27,284 rows, published are 27,285",
        "Get KuaiRand-Pure.tar.gz",
    ):
        assert told in result.output
