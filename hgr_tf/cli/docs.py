"""`hgr-tf docs`: the pages of documentation that came with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hgr_tf
from hgr_tf.cli.options import UnusedSeed
from hgr_tf.hints import did_you_mean


def docs(
    page: Annotated[
        str | None, typer.Argument(help="Which page; a list of them without.")
    ] = None,
    seed: UnusedSeed = 0,
) -> None:
    """Print a page of the documentation, or what pages there are."""
    pages = {path.stem: path for path in sorted(_folder().glob("*.md"))}
    if page is None:
        for name, path in pages.items():
            title = path.read_text(encoding="utf-8").partition("\n")[0].strip("# ")
            typer.echo(f"hgr-tf docs {name:12} {title}")
        return
    if page not in pages:
        hint = did_you_mean(page, pages)
        raise ValueError(f"page must be one of {list(pages)}, got {page!r}{hint}")
    typer.echo(pages[page].read_text(encoding="utf-8"))


def _folder() -> Path:
    """docs/ in the installed package, or beside it in a clone."""
    package = Path(hgr_tf.__file__).parent
    installed = package / "docs"
    return installed if installed.is_dir() else package.parent / "docs"
