"""Sections of the spec on files: their format, and the tables beside a log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator
from typing_extensions import Self

from hgr_tf.features.strict_model import Strict

SOURCES = {
    "parquet": "hgr_tf.pipelines.sources.parquet",
    "csv": "hgr_tf.pipelines.sources.csv",
    "jsonl": "hgr_tf.pipelines.sources.jsonl",
    "avro": "hgr_tf.pipelines.sources.avro",
    "orc": "hgr_tf.pipelines.sources.orc",
    "delta": "hgr_tf.pipelines.sources.delta",
    "iceberg": "hgr_tf.pipelines.sources.iceberg",
}
"""Where each format of log files is read: a module that is a
`hgr_tf.pipelines.sources.base.Source`, loaded when a file of it is."""


def _check_type(name: str) -> str:
    if name != "auto" and name not in SOURCES:
        raise ValueError(f"must be 'auto' or one of {sorted(SOURCES)}, got {name!r}")
    return name


class Format(Strict):
    """How files are read.

    Attributes:
        type: One of `SOURCES`. "auto" goes by the file name, whose endings are the
            `SUFFIXES` of each source; text formats also with .gz, .bz2, .zst.
        delimiter: Separates the columns of delimited text. Other than one
            ASCII character is allowed and turns quoting off.
        header: Whether delimited text starts with a line of column names.
        columns: Column names of delimited text without a header.
        encoding: Encoding of delimited text.
        quote: ASCII character that quotes a value of delimited text; empty
            for none.
        escape: ASCII character that takes the meaning of the one after it in
            delimited text, as the backslash of Spark and MySQL; empty for none.
        newlines_in_values: Whether quoted values may hold line ends. Such
            files are not split among workers; a quote that opens a value but
            closes it nowhere costs its line.
    """

    type: Annotated[str, AfterValidator(_check_type)] = "auto"
    delimiter: str = Field(",", min_length=1)
    header: bool = True
    columns: tuple[str, ...] | None = None
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    quote: str = Field('"', max_length=1)
    escape: str = Field("", max_length=1)
    newlines_in_values: bool = False

    @field_validator("quote", "escape")
    @classmethod
    def _check_ascii(cls, character: str) -> str:
        if not character.isascii():
            raise ValueError(f"must be an ASCII character, or empty, got {character!r}")
        return character

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if not self.header and not self.columns:
            raise ValueError("without a header, `columns` must name the columns")
        if self.escape and len(self.delimiter.encode()) > 1:
            raise ValueError(
                "`escape` needs a delimiter of one ASCII character, "
                f"got {self.delimiter!r}"
            )
        if self.escape and self.escape in (self.quote, self.delimiter):
            raise ValueError(
                f"`escape` must differ from quote and delimiter, got {self.escape!r}"
            )
        return self


class Table(Strict):
    """A table of user or item features, joined on `key`.

    Attributes:
        key: Column of the table that equals the log's user or item id.
        path: File or glob; relative to the spec's folder. The command line's
            --user-table and --item-table win over it.
        format: Format of its files.
        unmatched: Log rows whose id the table lacks: "missing" keeps them with
            every feature of the table missing, "reject" sends them to the
            dead letters. They are counted either way.
        max_unmatched: Share of log rows without a row in the table past which
            the run stops: keys that are written in two ways never meet.
    """

    key: str
    path: str | None = None
    format: Format = Format()
    unmatched: Literal["missing", "reject"] = "missing"
    max_unmatched: float = Field(0.99, ge=0, le=1)
