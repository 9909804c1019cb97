"""Metrics of runs, side by side on the terminal."""

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console
from rich.table import Table

from hgr_tf.training.importance import PermutationImportance
from hgr_tf.training.run_metrics import RUN_METRICS

_TITLES = {metric.name: metric.column for metric in RUN_METRICS}
_OF_HALVES = {
    "pcoc": "PCOC → 1",
    "ece": "ECE ↓",
    "log_loss": "LogLoss ↓",
    "gauc": "GAUC ↑",
    "auc": "AUC ↑",
}
# Keras's name for the LogLoss.
_HIDDEN = {"loss"}
# Every head has one.
_OF_HEAD = "/log_loss"


def figure(value: float, form: str = ".4f") -> str:
    """A metric as text; "undefined" for NaN."""
    return "undefined" if value != value else format(value, form)


def print_metrics(rows: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Prints a row of metrics for each name, or for each head of each name."""
    rows = dict(of for name, row in rows.items() for of in _heads(name, row))
    common = [
        n for n in next(iter(rows.values())) if all(n in r for r in rows.values())
    ]
    others = [n for n in common if n not in _TITLES and n not in _HIDDEN]
    shown = [*(name for name in _TITLES if name in common), *others]
    table = Table(title=title, title_justify="left")
    table.add_column()
    for name in shown:
        table.add_column(_TITLES.get(name, name), justify="right")
    for label, row in rows.items():
        table.add_row(label, *(figure(row[name]) for name in shown))
    Console().print(table)


def print_halves(
    title: str,
    rows: Iterable[tuple[str, Mapping[str, float | None]]],
    more: Mapping[str, str] | None = None,
) -> None:
    """Prints figures that half of a split measured, a row for each label.

    Args:
        title: What was measured, and on what.
        rows: (label, figures by name), None where one is undefined.
        more: Titles of further figures, by name.
    """
    names = {**_OF_HALVES, **(more or {})}
    table = Table(title=title, title_justify="left")
    table.add_column()
    for text in names.values():
        table.add_column(text, justify="right")
    for label, figures in rows:
        values = (figures[name] for name in names)
        table.add_row(
            label, *(figure(float("nan") if v is None else v) for v in values)
        )
    Console().print(table)


def measured_on(halves: str) -> str:
    """The rows that measured, where "users" or "rows" were dealt to two halves."""
    return "other rows" if halves == "rows" else "rows of other users"


def _heads(
    name: str, row: Mapping[str, float]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The metrics of each head, by the names of a single output's."""
    heads = [key.removesuffix(_OF_HEAD) for key in row if key.endswith(_OF_HEAD)]
    if not heads:
        yield name, row
    for head in heads:
        prefix = f"{head}/"
        own = [key for key in row if key.startswith(prefix)]
        yield f"{name}: {head}", {key.removeprefix(prefix): row[key] for key in own}


def print_importance(lost: PermutationImportance, head: str = "") -> None:
    """Prints what another user's embedding, or another row's feature, costs."""
    table = Table(
        title=f"{head}{': costs' if head else 'Costs'} of a swap (mean ± spread over "
        "permutations)",
        title_justify="left",
    )
    for name in ("permuted", "GAUC", "LogLoss"):
        table.add_column(name, justify="left" if name == "permuted" else "right")
    for name, one in lost.of.items():
        table.add_row(
            name,
            f"{figure(-one.gauc_drop, '+.4f')} ± {figure(one.gauc_spread)}",
            f"{figure(one.log_loss_rise, '+.4f')} ± {figure(one.log_loss_spread)}",
        )
    Console().print(table)
