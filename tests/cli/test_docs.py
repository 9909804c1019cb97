from pathlib import Path

import pytest
from typer.testing import CliRunner

from hgr_tf.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"


def test_every_page_is_listed_with_its_title():
    output = CliRunner().invoke(app, ["docs"]).output
    for page in DOCS.glob("*.md"):
        assert f"hgr-tf docs {page.stem} " in output
    assert "hgr-tf docs training     Training" in output


def test_a_page_is_printed_whole():
    output = CliRunner().invoke(app, ["docs", "training"]).output
    assert output.strip() == (DOCS / "training.md").read_text("utf-8").strip()


def test_an_unknown_page_is_told_with_what_it_may_have_meant():
    with pytest.raises(ValueError, match="got 'trainin'; did you mean 'training'"):
        CliRunner().invoke(app, ["docs", "trainin"], catch_exceptions=False)
