"""The page of training runs, as text and as a browser draws it."""

import re
import shutil
import subprocess

import matplotlib.image
import numpy as np
import pytest

from hgr_tf.cli import main
from hgr_tf.training import RunConfig, train
from tests.prepared import rows, write_prepared

CONFIG = """
data: {path: %s}
ranker: {embedding_dim: 4, hidden_units: [8]}
method: {preset: %s, num_levels: 2, codebook_size: 3}
training: {batch_size: 100, epochs: 2}
"""
PLOTS = [
    "Reliability",
    "GAUC by activity",
    "Validation GAUC over training",
    "Validation LogLoss over training",
    "Occupancy by level",
    "Codebook usage by level",
    "Trie of codes: default",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_prepared(folder / "data", {"train": rows(1000, 0), "val": rows(300, 1)})
    runs = []
    for preset in ("none", "default"):
        runs.append(str(folder / preset))
        train(RunConfig.from_yaml(CONFIG % (folder / "data", preset)), runs[-1])
    output = folder / "report.html"
    with pytest.raises(SystemExit) as end:
        main.main(["report", *runs, "--output", str(output)])
    assert end.value.code == 0
    return output


def test_every_plot_of_every_run_is_on_the_page(page):
    text = page.read_text()
    assert re.findall("<h2>(.*)</h2>", text) == ["Figures", *PLOTS]
    assert text.count("<svg") == len(PLOTS)
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    for name in ("none", "default"):
        assert f"<td>{name}</td><td>all rows</td>" in text


def test_a_browser_draws_every_plot(page, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("needs Chromium")
    head, *figures = re.split("(?=<figure>)", page.read_text())
    style = re.search(r"<style>.*?</style>", head, re.S)[0]
    for title, figure in zip(PLOTS, figures, strict=True):
        svg = figure[: figure.index("</figure>")]
        alone = tmp_path / "plot.html"
        alone.write_text(f"<!doctype html><meta charset=utf-8>{style}{svg}")
        picture = tmp_path / "plot.png"
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=800,600",
                f"--screenshot={picture}",
                alone.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        pixels = matplotlib.image.imread(picture)[..., :3]
        ink = (pixels < 0.9).any(axis=-1)
        assert 0.002 < ink.mean() < 0.9, title
        drawn = np.flatnonzero(ink.any(axis=0))
        assert np.ptp(drawn) > 400, title  # from the axis to the other side
