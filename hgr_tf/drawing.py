"""Plots as SVG texts that read in print, without colours and without scripts."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, told apart by the colour-blind; dashes and marks go beside them."""

_DASHES = ("-", "--", "-.", ":")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def styles() -> Iterator[dict[str, str]]:
    """Yields keyword arguments of lines that are told apart, without end."""
    for colour, dash, mark in zip(
        cycle(COLOURS), cycle(_DASHES), cycle(_MARKS), strict=False
    ):
        yield {"color": colour, "linestyle": dash, "marker": mark}


def svg(draw: Callable[[Any], None], height: float = 3.2) -> str:
    """The SVG element of what `draw` puts on matplotlib axes, equal for equal plots.

    Args:
        draw: Draws on the axes that it is given.
        height: In inches; the width is 6.4.
    """
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hgr_tf"}):
        figure, axes = plt.subplots(figsize=(6.4, height), layout="constrained")
        try:
            draw(axes)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
            text = io.StringIO()
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(text, format="svg", metadata=nothing)
        finally:
            plt.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
