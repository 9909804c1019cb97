"""report.html: a comparison on one page, without scripts or downloads."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

from hgr_tf.codes.groups import Group
from hgr_tf.codes.trie_plot import trie_plot
from hgr_tf.comparing import plots


def html_report(results: dict[str, Any]) -> str:
    """The page of what results.json holds."""
    methods = results["methods"]
    return template("report.html.jinja").render(
        results={**results, "methods": _complete(methods)},
        metrics=[*methods[results["baseline"]]["figures"]],
        plots={
            "differences": Markup(
                plots.differences_plot(methods, results["smallest_gain"])
            )
        },
        pictures=pictures(methods),
    )


def template(name: str) -> jinja2.Template:
    """A template of this room, with the filters of its figures."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hgr_tf.comparing", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        figure=figure, signed=signed, fallen=fallen, interval=interval
    )
    return environment.get_template(name)


def pictures(methods: plots.Methods) -> list[tuple[str, Markup]]:
    """Titles and SVG elements of what is drawn of every method, or run.

    Args:
        methods: By name "reliability", "by_activity", "history" and "groups".
    """
    drawn = {
        "Reliability": plots.reliability_plot(methods),
        "GAUC by activity": plots.activity_plot(methods),
        "Validation GAUC over training": plots.history_plot(
            methods, "val_gauc", "GAUC"
        ),
        "Validation LogLoss over training": plots.history_plot(
            methods, "val_log_loss", "LogLoss"
        ),
        "Occupancy by level": plots.history_plot(
            methods, "group_occupancy", "share of rows in lists of both classes"
        ),
        "Codebook usage by level": plots.history_plot(
            methods, "codebook_usage", "share of codewords in use"
        ),
    }
    for name, method in methods.items():
        if method["groups"]:
            groups = [Group(**group) for group in method["groups"]]
            drawn[f"Trie of codes: {name}"] = trie_plot(groups)
    return [(title, Markup(svg)) for title, svg in drawn.items() if svg]


def figure(value: float | None) -> str:
    """A figure with four places, or "undefined"."""
    return "undefined" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """A difference with its sign, or "undefined"."""
    return "undefined" if value is None else f"{value:+.4f}"


def fallen(drop: float | None) -> str:
    """What a drop changes, with its sign, or "undefined"."""
    return signed(None if drop is None else -drop)


def interval(difference: dict[str, Any]) -> str:
    """The interval of a difference, or "undefined"."""
    if difference["low"] is None:
        return "undefined"
    return f"{signed(difference['low'])} to {signed(difference['high'])}"


def _complete(methods: dict[str, Any]) -> dict[str, Any]:
    empty = {"difference": None, "control": None, "verdict": None}
    return {name: {**empty, **method} for name, method in methods.items()}
