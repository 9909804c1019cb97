"""`hgr-tf codes`: the codes of users or items, and what their groups are."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hgr_tf.cli.counted import counted
from hgr_tf.cli.options import Prepared, need_compare

if TYPE_CHECKING:
    from hgr_tf.codes import Coded, Group
    from hgr_tf.data import PreparedData
    from hgr_tf.training import Run

log = logging.getLogger(__name__)


def codes(
    run: Annotated[Path, typer.Option(help="Folder of a finished `hgr-tf train`.")],
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    data: Prepared = None,
    split: Annotated[
        str | None,
        typer.Option(help="Its users, and its rows for --describe; else validation."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Users of this file instead: their features, as served."),
    ] = None,
    of: Annotated[
        Literal["user", "item"],
        typer.Option(help="Users, by the run's quantizer; or items, by k-means."),
    ] = "user",
    levels: Annotated[
        int | None, typer.Option(min=1, help="Levels of item codes; 3 by default.")
    ] = None,
    codebook_size: Annotated[
        int | None,
        typer.Option(min=1, help="Codewords of each level of items; 64 by default."),
    ] = None,
    unique: Annotated[
        bool, typer.Option("--unique", help="One more level tells equal codes apart.")
    ] = False,
    describe: Annotated[
        Path | None,
        typer.Option(help="Also write this HTML page of the groups, and print them."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for the k-means of items.")] = 0,
) -> None:
    """Write the codes of users or items, ready for `prepare --code-table`.

    The table has the id, code_1, code_2, ... and the distance of each embedding to
    what its codes stand for.
    """
    from hgr_tf import codes as library
    from hgr_tf.training import load_run
    from hgr_tf.training.run_data import load_data_of

    if table and (describe or of == "item"):
        raise ValueError(
            f"--table must go with --of user and without --describe, got {table}"
        )
    if of == "user" and (levels or codebook_size or unique):
        raise ValueError(
            "--levels, --codebook-size and --unique must go with --of item: the codes "
            "of users are those of the run's quantizer"
        )
    if describe:
        need_compare("--describe")
    log.info("loading the run %s", run)
    loaded = load_run(run)
    spec = loaded.encoding.spec
    split = split or loaded.config.data.validation
    prepared = None
    if describe or not (table or of == "item"):
        prepared = load_data_of(loaded, data)
        prepared.check_split(split)
    parts: Iterable[Coded]
    if of == "item":
        parts = [_items(loaded, levels or 3, codebook_size or 64, unique, seed)]
    elif table:
        parts = library.codes_of_table(loaded, table)
    elif prepared:
        parts = library.codes_of_split(loaded, prepared, split)
    kept: list[Coded] = []
    id_column = spec.user_id if of == "user" else spec.item_id
    written = library.write_codes(
        _keeping(parts, kept if describe else None), output, id_column
    )
    typer.echo(f"codes of {counted(written, of)} in {output}", err=True)
    if describe and prepared:
        _describe(loaded, prepared, split, of, kept, describe)


def _items(run: Run, levels: int, size: int, unique: bool, seed: int) -> Coded:
    from hgr_tf.codes.item_codes import collisions, item_codes, made_unique

    coded = item_codes(run, levels, size, seed)
    equal = collisions(coded.codes)
    typer.echo(f"{counted(equal, 'item')} have the codes of another one", err=True)
    return coded._replace(codes=made_unique(coded.codes)) if unique else coded


def _keeping(parts: Iterable[Coded], kept: list[Coded] | None) -> Iterator[Coded]:
    for done, part in enumerate(parts, start=1):
        if kept is not None:
            kept.append(part)
        log.info("parts coded", extra={"done": done, "total": None})
        yield part


def _describe(
    run: Run,
    data: PreparedData,
    split: str,
    of: str,
    parts: list[Coded],
    path: Path,
) -> None:
    from hgr_tf.codes import groups_of_split, html_page
    from hgr_tf.features import USER
    from hgr_tf.result_files import write_text

    item = run.encoding.spec.id_feature("item")
    key = item.name if of == "item" and item else USER

    groups = groups_of_split(data, split, parts, key)
    title = f"Codes of {of}s of {run.path.name}"
    write_text(path, html_page(title, groups, f"{of}s", split))
    _print(groups, of)
    typer.echo(f"groups of every level in {path}", err=True)


def _print(groups: list[Group], of: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Groups of the first level", title_justify="left")
    for name in ("code", f"{of}s", "rows", "positive rate"):
        table.add_column(name, justify="right")
    table.add_column("more often here than elsewhere")
    for group in groups:
        if len(group.prefix) == 1:
            top = ", ".join(
                f"{t.feature} = {t.value} ({t.lift:.1f}x)" for t in group.top
            )
            figures = (
                f"{group.members:,}",
                f"{group.rows:,}",
                f"{group.positive_rate:.4f}",
            )
            table.add_row(str(group.prefix[0]), *figures, escape(top))
    Console().print(table)
