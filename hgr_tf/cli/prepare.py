"""`hgr-tf prepare`: raw logs become training data."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hgr_tf.cli.counted import counted
from hgr_tf.registry import Registry

JoinMode = Literal["auto", "side", "shuffle"]
Layout = Literal["shuffled", "user", "code"]
if TYPE_CHECKING:
    from hgr_tf.data.manifest import Split

    OutputFormat = str
else:
    # Every format there is, listed without loading the pipeline.
    OutputFormat = Literal[Registry("hgr_tf.pipelines.output.formats").names()]


def _check_beam_options(options: list[str] | None) -> list[str] | None:
    before = ""
    for option in options or ():
        takes_value = before.startswith("-") and "=" not in before
        if not option.startswith("-") and not takes_value:
            raise typer.BadParameter(
                f"expected an option of Beam, got {option!r}: if a glob became these "
                "files, quote it, or repeat --input for each"
            )
        before = option
    return options


def prepare(
    spec: Annotated[Path, typer.Option(help="Feature spec (YAML).")],
    input: Annotated[
        list[str],
        typer.Option(
            help="Log files: a path or quoted glob, local or gs://, s3://, azfs://; or "
            "a table (bigquery://project.dataset.table). Repeat for more. "
            "Write split=glob (train=..., val=...) when the splits are given; "
            "otherwise the spec's `split` section decides."
        ),
    ],
    output: Annotated[
        str, typer.Option(help="Folder to write. MANIFEST.json appears in it last.")
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Read only input files in folders such as dt=2026-01-01 for which "
            'this holds: "dt>=2026-01-01". Operators: = != < <= > >=. Repeat for more.'
        ),
    ] = None,
    user_table: Annotated[
        str | None, typer.Option(help="User table (path or glob).")
    ] = None,
    item_table: Annotated[
        str | None, typer.Option(help="Item table (path or glob).")
    ] = None,
    runner: Annotated[
        str,
        typer.Option(
            help="Beam runner: FnApiRunner, PrismRunner, FlinkRunner, SparkRunner, "
            "DataflowRunner, ..."
        ),
    ] = "FnApiRunner",
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Worker processes on this machine, with FnApiRunner, FlinkRunner "
            "and SparkRunner.",
        ),
    ] = 1,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a finished output, once the new one is ready."
        ),
    ] = False,
    max_bad_fraction: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Fail past this share of bad rows, of log or table."
        ),
    ] = 0.01,
    join: Annotated[
        JoinMode,
        typer.Option(
            help="side: every worker holds the tables; shuffle: none does; "
            "auto: by their size."
        ),
    ] = "auto",
    output_format: Annotated[
        OutputFormat,
        typer.Option(
            help="parquet: encoded columns, read fastest; tfrecord: a "
            "tf.train.Example for each row; elwc: tf-ranking's list for each user."
        ),
    ] = "parquet",
    layout: Annotated[
        Layout | None,
        typer.Option(
            help="Order of rows: shuffled (the default), by user, or by user code."
        ),
    ] = None,
    code_table: Annotated[
        str | None,
        typer.Option(
            help="File of codes (user id, code_1, code_2, ...) to lay out by."
        ),
    ] = None,
    code_prefix: Annotated[
        int, typer.Option(min=1, help="Users that share so many codes share a shard.")
    ] = 1,
    history_from: Annotated[
        list[str] | None,
        typer.Option(
            help="Earlier logs, whose rows are only the past of others: a path, quoted "
            "glob or folder, or a prepared folder for the logs it was made from. "
            "Repeat for more."
        ),
    ] = None,
    encoding_from: Annotated[
        str | None,
        typer.Option(
            help="Prepared folder whose vocabularies, boundaries and moments to use."
        ),
    ] = None,
    grow_vocabularies: Annotated[
        bool,
        typer.Option(
            "--grow-vocabularies",
            help="Append values that --encoding-from lacks; ids keep their meaning.",
        ),
    ] = False,
    evict_after_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Gives a new value the id of an old one that was missing from the "
            "training rows of this many prepared folders in a row, this one included. "
            "Needs --grow-vocabularies.",
        ),
    ] = None,
    shard_rows: Annotated[
        int, typer.Option(min=1, help="Rows per shard, about.")
    ] = 100_000,
    compression: Annotated[
        int,
        typer.Option(
            min=0,
            max=3,
            help="Level of the gzip of TFRecords (tf.data reads no Zstandard): 0 is "
            "fastest, 3 smallest.",
        ),
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed for all randomness.")] = 0,
    beam_options: Annotated[
        list[str] | None,
        typer.Argument(
            callback=_check_beam_options,
            help="Options for Beam, after `--`: -- --region=europe-west1",
        ),
    ] = None,
) -> None:
    """Turn raw logs into sharded training data, with Apache Beam.

    Checks every row, joins the user and item tables, builds vocabularies and
    writes Parquet or TFRecords. Bad rows go to dead_letter-*.jsonl.

    Example: hgr-tf prepare --spec spec.yaml --input "train=logs/*.parquet"
    --user-table users.csv --item-table items.csv --output prepared
    """
    from hgr_tf.pipelines.run import prepare as run

    _silence_beam()
    manifest = run(
        spec,
        input,
        output,
        where=where or (),
        user_table=user_table,
        item_table=item_table,
        runner=runner,
        workers=workers,
        beam_options=beam_options or (),
        overwrite=overwrite,
        progress=True,
        max_bad_fraction=max_bad_fraction,
        join=join,
        output_format=output_format,
        layout=layout,
        code_table=code_table,
        code_prefix=code_prefix,
        history_from=history_from or (),
        encoding_from=encoding_from,
        grow_vocabularies=grow_vocabularies,
        evict_after_days=evict_after_days,
        shard_rows=shard_rows,
        compression=compression,
        seed=seed,
    )
    for name, count in manifest.counters.items():
        if count:
            typer.echo(f"{name}: {count:,}")
    for name, split in manifest.splits.items():
        typer.echo(
            f"{name}: {counted(split.rows, 'row')}, {_rates(split)}, "
            f"{counted(len(split.shards), 'shard')}"
        )
    typer.echo(f"{output}: finished")


def _rates(split: Split) -> str:
    """Shares of positives, each label's among the rows where it is defined.

    Those of several labels are of the rows before negatives were sampled.
    """
    if not split.labels:
        return f"{_share(split.positives, split.rows)} positive"
    told = ", ".join(
        f"{label} {_share(counts.positives, counts.rows)} of {counts.rows:,}"
        for label, counts in split.labels.items()
    )
    # The first label is defined in all rows.
    sampled = next(iter(split.labels.values())).rows != split.rows
    return f"{told} before sampling" if sampled else told


def _share(positives: int, rows: int) -> str:
    return f"{positives / rows if rows else 0:.1%}"


def _silence_beam() -> None:
    """Leaves the telling of errors to the one line at the end."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    threading.excepthook = lambda _: None  # Beam's threads end with the job
