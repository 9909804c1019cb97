"""The trie of codes as a picture: a bar for each group, as wide as it has rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
            left = 0
            for group in sorted(at, key=lambda g: g.prefix):
                axes.barh(
                    level,
                    group.rows,
                    0.9,
                    left,
                    color=colormaps[_COLOURS](normalize(group.positive_rate)),
                    edgecolor="white",
                    linewidth=0.4,
                )
                left += group.rows
        axes.set_ylim(levels + 0.6, 0.4)
        axes.set_yticks(range(1, levels + 1))
        axes.set_ylabel("level")
        axes.set_xlabel("rows")
        axes.figure.colorbar(colours, ax=axes, label="positive rate")

    return svg(draw, height=1.2 + 0.6 * levels)
