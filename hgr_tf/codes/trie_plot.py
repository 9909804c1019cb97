"""The trie of codes as a picture: a bar for each group, as wide as it has rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from hgr_tf.codes.groups import Group
from hgr_tf.drawing import svg

_COLOURS = "cividis"  # as bright in grey, and for the colour-blind, as in colours


def trie_plot(groups: Sequence[Group]) -> str:
    """An SVG element: levels from above, children below their parents.

    Args:
        groups: Groups of every level, as `describe_groups` gives them.
    """
    levels = max(len(group.prefix) for group in groups)
    rates = [group.positive_rate for group in groups]
    normalize = Normalize(min(rates), max(rates))
    colours = ScalarMappable(normalize, _COLOURS)

    def draw(axes: Any) -> None:
        for level in range(1, levels + 1):
            at = [group for group in groups if len(group.prefix) == level]
            at.sort(key=lambda group: group.prefix)
            widths = np.array([group.rows for group in at])
            axes.barh(
                np.full(len(at), level),
                widths,
                0.9,
                np.cumsum(widths) - widths,
                color=colormaps[_COLOURS](normalize([g.positive_rate for g in at])),
                edgecolor="white",
                linewidth=0.4,
            )
        axes.set_ylim(levels + 0.6, 0.4)
        axes.set_yticks(range(1, levels + 1))
        axes.set_ylabel("level")
        axes.set_xlabel("rows")
        axes.figure.colorbar(colours, ax=axes, label="positive rate")

    return svg(draw, height=1.2 + 0.6 * levels)
