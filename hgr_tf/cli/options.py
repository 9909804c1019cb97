"""Options that several commands take, in the same words."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

Prepared = Annotated[
    Path | None,
    typer.Option(help="Output of `hgr-tf prepare`, instead of the config's."),
]
FinishedRun = Annotated[Path, typer.Option(help="Folder of a finished `hgr-tf train`.")]
RunData = Annotated[
    Path | None,
    typer.Option(help="Output of `hgr-tf prepare`. Default: that of the training."),
]
Epochs = Annotated[
    int | None, typer.Option(help="Passes over the data, instead of the config's.")
]
InitFrom = Annotated[
    Path | None,
    typer.Option(help="A finished run to begin with, instead of the config's."),
]
RunSeed = Annotated[
    int | None, typer.Option(help="Seed for all randomness, instead of the config's.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Remove a run that is there.")
]
Comparison = Annotated[
    Path, typer.Option(help="YAML of the comparison; see `hgr-tf docs comparing`.")
]
ComparisonFolder = Annotated[
    Path | None,
    typer.Option(help="Folder to fill; else comparisons/<name of the config>."),
]
NewVersion = Annotated[
    int | None,
    typer.Option(help="Number of the version; one past the newest by default."),
]
Keep = Annotated[
    int | None,
    typer.Option(help="Keep this many newest versions, and the new one; else all."),
]
StepSize = Annotated[
    int, typer.Option(min=1, help="Examples per step; only speed depends on it.")
]
HalvesSeed = Annotated[
    int, typer.Option(min=0, help="Seed for dealing users to the two halves.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
UnusedSeed = Annotated[
    int, typer.Option(help="Taken by every command; nothing here is random.")
]


def need_compare(command: str) -> None:
    """Raises `ImportError` with the way out where pages cannot be drawn.

    Args:
        command: The command or option that draws.
    """
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{command} needs the extra `compare` (pip install 'hgr_tf[compare]'): "
            f"there is no {' and no '.join(missing)}"
        )
