"""Delimited text, read by Arrow a block at a time.

Every column is read as bytes; typing is a later step. Lines that Arrow would
misread (an unbalanced quote swallows the lines after it) are found by
counting rows and singled out by bisection, so that they cost no other line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.reasons import MALFORMED_LINE, WRONG_COUNT
from hgr_tf.pipelines.sources import lines
from hgr_tf.pipelines.sources.base import BATCH_ROWS, Header, RawBatch, Rejected, Unit

_Parsed = tuple[pa.Table | None, np.ndarray, list[Rejected]]
"""Rows of a run of lines, their positions in the unit, and lines at fault."""

_STAND_IN = "\x1f"  # for delimiters of several bytes, which Arrow does not take
_BOM = b"\xef\xbb\xbf"
_END = "end"

csv.field_size_limit(2**31 - 1)

SUFFIXES = (".csv", ".tsv", ".dat", ".txt")


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """The units of a file, and its columns."""
    lines.check_text(file.path)
    names, header_bytes = list(format_.columns or ()), 0
    if format_.header:
        header = lines.first_line(file.path)
        header_bytes = len(header)
        names = names or _names(header, format_)
        if b"\r" in header.rstrip(b"\r\n"):  # the whole file may pass for its header
            raise ValueError(r"lines must end in \n or \r\n, but the header holds a \r")
    unit = Unit(file.path, format_, file_index, columns=tuple(names))
    splits = not format_.newlines_in_values
    return lines.plan(file, unit, header_bytes, splits), Header(names, {})


def _names(header: bytes, format_: Format) -> list[str]:
    text = header.removeprefix(_BOM).decode(format_.encoding, "replace")
    text = text.strip("\r\n")
    if not _is_one_byte(format_.delimiter):
        names = text.split(format_.delimiter)
    else:
        names = (_read_rows([text], format_) or [[]])[0]
    return [name.strip() for name in names]


def first_row_width(file: File, format_: Format) -> int:
    """How many values the first row of a file without a header has; 0 if none."""
    unit = Unit(file.path, format_, 0)
    quoting = quoting_of(format_)
    blocks = _as_utf8(lines.read_blocks(unit, quoting), unit)
    first = next(lines.read_lines(blocks, 1, quoting), None)
    return 0 if first is None else len(_fields(first.line(0), format_) or ())


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """The lines of a unit in batches."""
    format_ = unit.format
    quoting = quoting_of(format_)
    blocks = _as_utf8(lines.read_blocks(unit, quoting), unit)
    for some in lines.read_lines(blocks, BATCH_ROWS, quoting):
        yield _parse(some, unit.columns, columns, format_)


def quoting_of(format_: Format) -> lines.Quoting | None:
    """How quoted values hold line ends; None where they do not."""
    quotes = format_.quote and _is_one_byte(format_.delimiter)
    if quotes and format_.newlines_in_values:
        return lines.Quoting(format_.quote, format_.delimiter, format_.escape)
    return None


def _is_one_byte(delimiter: str) -> bool:
    return len(delimiter.encode()) == 1


def _as_utf8(blocks: Iterator[bytes], unit: Unit) -> Iterator[bytes]:
    for data in blocks:
        if unit.format.encoding != "utf-8":
            data = data.decode(unit.format.encoding).encode()
        yield data


def _parse(
    block: lines.Lines, names: tuple[str, ...], columns: list[str], format_: Format
) -> RawBatch:
    parts = list(_parse_parts(block, names, columns, format_))
    tables = [table for table, _, _ in parts if table is not None]
    table = pa.concat_tables(tables).combine_chunks() if tables else None
    rows = np.concatenate([rows for _, rows, _ in parts])
    return RawBatch(
        columns={c: _column(table, c) for c in columns},
        rows=rows,
        raw=lambda i: block.shown(rows[i] - block.row),
        rejected=[rejected for _, _, part in parts for rejected in part],
    )


def _column(table: pa.Table | None, name: str) -> pa.Array:
    if table is None:
        return pa.array([], pa.binary())
    chunks = table[name].chunks
    return chunks[0] if chunks else pa.array([], pa.binary())


def _parse_parts(
    block: lines.Lines, names: tuple[str, ...], columns: list[str], format_: Format
) -> Iterator[_Parsed]:
    """Yields runs of lines that Arrow reads right."""
    if not _is_risky(block, format_):
        parsed = _parse_arrow(block, names, columns, format_)
        if parsed is not None:
            yield parsed
            return
    if len(block) == 1:
        yield _parse_line(block, names, columns, format_)
        return
    middle = len(block) // 2
    for low, high in ((0, middle), (middle, len(block))):
        yield from _parse_parts(block.part(low, high), names, columns, format_)


def _is_risky(block: lines.Lines, format_: Format) -> bool:
    text = block.text()
    try:
        text.decode()  # Arrow cannot tell of wrong rows that are not UTF-8
    except UnicodeDecodeError:
        return True
    # Arrow ends lines at lone returns, which cannot be told by counting rows.
    if b"\r" in text and text.count(b"\r") != text.count(b"\r\n"):
        return True
    if not _is_one_byte(format_.delimiter):
        return _STAND_IN.encode() in text
    # Rows swallowed and rows cut in two could make up for each other.
    quoting = quoting_of(format_)
    if quoting and text.count(b"\n") != len(block) and not quoting.are_plain(text):
        return True
    # The last line of a block has no next line to swallow.
    return not _is_whole(block.line(-1), format_)


def _is_whole(line: bytes, format_: Format) -> bool:
    special = [c.encode() for c in (format_.quote, format_.escape) if c]
    if not any(c in line for c in special):
        return True
    return _fields(line, format_) is not None


def _parse_arrow(
    block: lines.Lines, names: tuple[str, ...], columns: list[str], format_: Format
) -> _Parsed | None:
    text, delimiter, quote = block.text(), format_.delimiter, format_.quote
    if not _is_one_byte(delimiter):
        text = text.replace(delimiter.encode(), _STAND_IN.encode())
        delimiter, quote = _STAND_IN, ""
    invalid: list[pa_csv.InvalidRow] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        invalid.append(row)
        return "skip"

    table = pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(
            use_threads=False, block_size=len(text) + 1, column_names=list(names)
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote or False,
            escape_char=format_.escape or False,
            invalid_row_handler=skip,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.binary() for name in names},
            include_columns=columns,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    if table.num_rows + len(invalid) != len(block):
        return None
    skipped = np.array([row.number - 1 for row in invalid], np.int64)
    rows = np.delete(np.arange(len(block)), skipped) + block.row
    rejected = [
        Rejected(
            row=int(i) + block.row,
            column="",
            reason=WRONG_COUNT,
            raw=block.shown(i),
        )
        for i in skipped
    ]
    return table, rows, rejected


def _parse_line(
    block: lines.Lines, names: tuple[str, ...], columns: list[str], format_: Format
) -> _Parsed:
    line = block.line(0)
    fields = _fields(line, format_)
    if fields is not None and len(fields) == len(names):
        row = dict(zip(names, fields, strict=True))
        table = pa.table({c: pa.array([row[c]], pa.binary()) for c in columns})
        return table, np.array([block.row]), []
    reason = MALFORMED_LINE if fields is None else WRONG_COUNT
    rejected = [Rejected(block.row, "", reason, block.shown(0))]
    return None, np.array([], np.int64), rejected


def _fields(line: bytes, format_: Format) -> list[bytes] | None:
    """The values of one line; None if a quote in it is never closed."""
    text = line.decode("utf-8", "surrogateescape")
    if not _is_one_byte(format_.delimiter):
        fields = text.split(format_.delimiter)
    else:
        rows = _read_rows([*(f"{part}\n" for part in text.split("\n")), _END], format_)
        if len(rows) != 2 or rows[1] != [_END]:
            return None
        fields = rows[0]
    return [field.encode("utf-8", "surrogateescape") for field in fields]


def _read_rows(texts: list[str], format_: Format) -> list[list[str]]:
    reader = csv.reader(
        texts,
        delimiter=format_.delimiter,
        quotechar=format_.quote or None,
        escapechar=format_.escape or None,
        quoting=csv.QUOTE_MINIMAL if format_.quote else csv.QUOTE_NONE,
    )
    try:
        return list(reader)
    except csv.Error:
        return []
