"""Plots of a comparison, as SVG texts that read in print and without colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hgr_tf.drawing import COLOURS, styles, svg

Methods = Mapping[str, Mapping[str, Any]]


def differences_plot(methods: Methods, smallest_gain: float) -> str:
    """GAUC differences with their intervals, one line for each method."""
    rows = [
        (n, m["difference"]["gauc"]) for n, m in methods.items() if "difference" in m
    ]

    def draw(axes: Any) -> None:
        for place, (_, one) in enumerate(rows):
            if one["low"] is not None:
                axes.plot([one["low"], one["high"]], [place, place], color="#000000")
            axes.plot(one["mean"], place, "o", color=COLOURS[0])
            axes.plot(
                one["by_seed"], [place] * len(one["by_seed"]), "|", color="#777777"
            )
        axes.axvline(0, color="#000000", linewidth=0.8)
        axes.axvline(smallest_gain, color="#777777", linestyle=":", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("difference of GAUC to the baseline; dotted: worth having")

    return svg(draw, height=1.2 + 0.4 * len(rows))


def reliability_plot(methods: Methods) -> str:
    """Observed over predicted rates, bins of equal weight."""

    def draw(axes: Any) -> None:
        most = 0.0
        for style, (name, method) in zip(styles(), methods.items(), strict=False):
            x = [point["predicted"] for point in method["reliability"]]
            y = [point["observed"] for point in method["reliability"]]
            axes.plot(x, y, label=name, **style)
            most = max(most, *x, *y)
        axes.plot([0, most], [0, most], color="#777777", linewidth=0.8)
        axes.set_xlabel("predicted rate")
        axes.set_ylabel("observed rate")
        axes.legend(frameon=False)

    return svg(draw)


def activity_plot(methods: Methods) -> str:
    """GAUC by the activity of users, from the least active fifth on."""

    def draw(axes: Any) -> None:
        parts: list[Mapping[str, Any]] = []
        for style, (name, method) in zip(styles(), methods.items(), strict=False):
            parts = method["by_activity"]
            axes.plot([part["gauc"] for part in parts], label=name, **style)
        labels = [f"{part['rows_from']}-{part['rows_to']}" for part in parts]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlabel("rows of a user")
        axes.set_ylabel("GAUC")
        axes.legend(frameon=False)

    return svg(draw)


def history_plot(methods: Methods, prefix: str, label: str) -> str | None:
    """A figure of `history.json` over the epochs, or None where no run has it."""
    lines = []
    for name, method in methods.items():
        keys = sorted(
            {key for epoch in method["history"] for key in epoch if key == prefix}
            | {
                key
                for epoch in method["history"]
                for key in epoch
                if key.rpartition("_")[0] == prefix and key.rpartition("_")[2].isdigit()
            }
        )
        for key in keys:
            values = [epoch.get(key) for epoch in method["history"]]
            level = key.removeprefix(prefix).lstrip("_")
            lines.append((f"{name} {level}".strip(), values))
    if not lines:
        return None

    def draw(axes: Any) -> None:
        for style, (name, values) in zip(styles(), lines, strict=False):
            points = [float("nan") if v is None else v for v in values]
            axes.plot(range(1, len(points) + 1), points, label=name, **style)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize="small")

    return svg(draw)
