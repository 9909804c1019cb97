"""statistics.html: the statistics on one page, without scripts or downloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
body { font: 14px/1.4 sans-serif; margin: 2em auto; max-width: 60em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 2em }
td, th { padding: .15em .8em .15em 0; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.bar { background: #58a; height: .8em; display: inline-block; min-width: 1px }
"""
_BAR_EMS = 14


def html_page(name: str, statistics: dict, counters: dict[str, int]) -> str:
    """The page of `statistics` (as in statistics.json) and the run's counters."""
    parts = [
        "<!doctype html><meta charset='utf-8'>",
        f"<title>{escape(name)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(name)}</h1>",
        _rates("Splits", "split", statistics["splits"].items()),
    ]
    days = [(f"{d['day']} ({d['split']})", d) for d in statistics["days"]]
    if days:
        parts.append(_rates("Days", "day", days))
    parts.append(_table("Counters", ["", "rows"], sorted(counters.items())))
    parts.append("<h2>Features in training</h2>")
    parts += [_feature(n, f) for n, f in statistics["features"].items()]
    return "\n".join(parts) + "\n"


def _rates(title: str, what: str, rows: Iterable[tuple[str, dict]]) -> str:
    cells = []
    for key, rates in rows:
        labels = {f"{key}, {name}": of for name, of in rates.get("labels", {}).items()}
        for of, counts in (labels or {key: rates}).items():
            rate = counts["positive_rate"]
            cells.append((of, counts["rows"], _percent(rate), _bar(rate or 0)))
    return _table(title, [what, "rows", "positive", ""], cells)


def _feature(name: str, feature: dict) -> str:
    facts = f"{feature['owner']}, {feature['type']}"
    facts += f", missing {_percent(feature['missing_share'])}"
    if "num_ids" in feature:
        facts += f", {feature['num_ids']:,} ids"
    if feature.get("unknown_share"):
        facts += f", unknown {_percent(feature['unknown_share'])}"
    body = ""
    if feature.get("top"):
        most = feature["top"][0]["count"]
        rows = [
            (t["value"], t["count"], _bar(t["count"] / most)) for t in feature["top"]
        ]
        body = _table("", ["value", "rows", ""], rows)
    elif feature.get("deciles"):
        deciles = [f"{value:.4g}" for value in feature["deciles"]]
        header = [f"{10 * i}%" for i in range(len(deciles))]
        body = _table("", header, [deciles])
    return f"<h3>{escape(name)}</h3><p>{facts}</p>{body}"


class _Raw(str):
    """Text that is HTML already."""


def _bar(share: float) -> _Raw:
    return _Raw(f"<span class='bar' style='width:{share * _BAR_EMS:.2f}em'></span>")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def _table(title: str, header: list[str], rows: Iterable[Sequence[str | int]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f"{heading}<table><tr>{head}</tr>{body}</table>"


def _cell(value: str | int) -> str:
    if isinstance(value, int):
        return f"<td class='n'>{value:,}</td>"
    return f"<td>{value if isinstance(value, _Raw) else escape(str(value))}</td>"
