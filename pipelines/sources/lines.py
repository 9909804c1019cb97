"""Text files as blocks of complete lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from io import BufferedIOBase

import numpy as np

from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import File, is_compressed, open_read
from hgr_tf.pipelines.sources.base import Unit

UNIT_BYTES = 64 << 20
BLOCK_BYTES = 8 << 20
_NEWLINE, _RETURN = ord("\n"), ord("\r")
_MARK = b"\xef\xbb\xbf"


_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh9": "bzip2",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
}
_SNIFFED = 4_096


def check_text(path: str) -> None:
    """Checks that a file starts like text of one byte or UTF-8 for each character.

    Raises:
        PrepareError: It holds UTF-16 or UTF-32, or is no text at all.
    """
    with open_read(path, decompress=True) as file:
        start = file.read(_SNIFFED)
    if start.startswith(_WIDE) or _is_wide(start):
        raise PrepareError(
            f"{path}: expected UTF-8 text, got UTF-16 or UTF-32 (first bytes: "
            f"{start[:4].hex(' ')}): convert it, as with `iconv -f UTF-16 -t UTF-8`"
        )
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise PrepareError(
                f"{path}: expected text, got {kind}: give the file the suffix of what "
                "it holds"
            )


def _is_wide(start: bytes) -> bool:
    """Whether nearly every second byte is 0, and few others are."""
    zeros = sorted((start[::2].count(0), start[1::2].count(0)))
    return (
        len(start) >= 16 and zeros[1] > len(start) * 0.4 and zeros[0] < len(start) / 8
    )


class Quoting:
    """Quoted values that may hold line ends.

    A quote opens a value only where a field starts, and closes it only where
    one ends; any other quote is a character, and so is one that opens a value
    of more than `BLOCK_BYTES`, or one that nothing closes.

    Args:
        quote: The character around values; "" inside stands for ".
        delimiter: The character between fields.
        escape: The character that takes the next one's meaning; "" for none.
    """

    def __init__(self, quote: str, delimiter: str, escape: str = ""):
        self._quote, self._delimiter, self._escape = quote, delimiter, escape

    @cached_property
    def _value(self) -> re.Pattern[bytes]:
        quote, delimiter, escape = (
            re.escape(c.encode()).decode("latin-1")
            for c in (self._quote, self._delimiter, self._escape)
        )
        inside = rf"[^{quote}{escape}]*"
        special = rf"{quote}{quote}" + (rf"|{escape}(?s:.)" if escape else "")
        pattern = (
            rf"(?<![^{delimiter}\n]){quote}{inside}(?:(?:{special}){inside})*"
            rf"(?:(?P<close>{quote})(?=[{delimiter}\r\n]|\Z)|\Z)"
        )
        return re.compile(pattern.encode("latin-1"))

    def are_plain(self, data: bytes) -> bool:
        """Whether every other quote opens a value and the next one closes it."""
        if self._escape and self._escape.encode() in data:
            return False
        array = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(array == ord(self._quote))
        opening, closing = quotes[::2], quotes[1::2]
        separators = [ord(self._delimiter), _NEWLINE]
        doubled = np.zeros(len(opening), bool)
        doubled[1:] = opening[1:] == closing[: len(opening) - 1] + 1
        starts = (opening == 0) | np.isin(array[opening - 1], separators)
        after = np.minimum(closing + 1, len(array) - 1)
        follows = [*separators, _RETURN, ord(self._quote)]
        ends = (closing == len(array) - 1) | np.isin(array[after], follows)
        return bool((starts | doubled).all() and ends.all())

    def holds(self, data: bytes, at: np.ndarray, whole: bool) -> np.ndarray:
        """`[n]` bool: which positions, ascending, lie within a quoted value.

        Args:
            data: Text from the start of a line on.
            at: `[n]` positions in it.
            whole: Whether no more text follows, so that what is open stays so.
        """
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == ord(self._quote))
        is_open = len(quotes) % 2 == 1
        waits = is_open and not whole and len(data) - quotes[-1] <= BLOCK_BYTES
        if not len(quotes):
            return np.zeros(len(at), bool)
        if (not is_open or waits) and self.are_plain(data):
            return np.searchsorted(quotes, at) % 2 == 1
        spans = np.array(self._spans(data, whole), np.int64).reshape(-1, 2)
        if not len(spans):
            return np.zeros(len(at), bool)
        span = np.searchsorted(spans[:, 0], at) - 1
        return (span >= 0) & (at < spans[span, 1])

    def _spans(self, data: bytes, whole: bool) -> list[tuple[int, int]]:
        spans, start = [], 0
        while value := self._value.search(data, start):
            size = value.end() - value.start()
            closed = value["close"] is not None
            if size > BLOCK_BYTES or (whole and not closed):
                start = value.start() + 1
            else:
                spans.append(value.span())
                start = value.end()
        return spans


def plan(file: File, unit: Unit, header_bytes: int, splits: bool) -> list[Unit]:
    """Cuts a file into units of bytes; compressed files stay whole.

    Args:
        file: The file.
        unit: A unit of it, to be copied with other bounds.
        header_bytes: Size of the header line.
        splits: Whether every line end is the end of a row.
    """
    if is_compressed(file.path) or not splits or file.size <= UNIT_BYTES:
        return [unit._replace(start=header_bytes, end=None)]
    starts = [header_bytes, *range(UNIT_BYTES, file.size, UNIT_BYTES)]
    ends = [*starts[1:], file.size]
    return [
        unit._replace(place=i, start=start, end=end)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def read_blocks(unit: Unit, quoting: Quoting | None = None) -> Iterator[bytes]:
    """Blocks of complete lines; the lines that start within the unit's bounds.

    Args:
        unit: Bounds in bytes; an `end` of None means the end of the file.
        quoting: When given, line ends in quoted values do not end a line.
    """
    with open_read(unit.path, decompress=True) as file:
        if unit.place == 0:
            _skip(file, unit.start)
            position = unit.start
        else:  # the line under way at the start belongs to the unit before
            file.seek(unit.start - 1)
            position = unit.start - 1 + len(file.readline())
        rest = b""
        while unit.end is None or position < unit.end:
            size = BLOCK_BYTES
            if unit.end is not None:
                size = min(size, unit.end - position)
            data = file.read(size)
            if not data:
                break
            is_start = position == 0
            position += len(data)
            if unit.end is not None and position >= unit.end:
                data += _rest_of_line(file, data)
            data = data.removeprefix(_MARK) if is_start else rest + data
            end = _last_line_end(data, quoting)
            rest = data[end:]
            if end:
                yield data[:end]
        if rest:
            yield rest


def _skip(file: BufferedIOBase, size: int) -> None:
    while size > 0:
        size -= len(file.read(min(size, BLOCK_BYTES))) or size


def _rest_of_line(file: BufferedIOBase, data: bytes) -> bytes:
    return b"" if data.endswith(b"\n") else file.readline()


def _last_line_end(data: bytes, quoting: Quoting | None) -> int:
    if not quoting:
        return data.rfind(b"\n") + 1
    ends = line_ends(data, quoting, whole=False)
    return int(ends[-1]) if len(ends) else 0


def line_ends(
    data: bytes, quoting: Quoting | None = None, whole: bool = True
) -> np.ndarray:
    """Positions just past each line end; with `quoting`, of those outside values."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
    if quoting and len(ends):
        ends = ends[~quoting.holds(data, ends, whole)]
    return ends + 1


def split_lines(
    data: bytes, quoting: Quoting | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Start and end of each line of a block that is not blank.

    The end excludes the line end, "\\n" or "\\r\\n".
    """
    if not data:
        return np.array([], np.int64), np.array([], np.int64)
    ends = line_ends(data, quoting)
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data) + 1)
    starts = np.concatenate([[0], ends[:-1]])
    ends = ends - 1
    array = np.frombuffer(data, np.uint8)
    returns = (ends > starts) & (array[np.maximum(ends - 1, 0)] == _RETURN)
    ends = ends - returns
    filled = ends > starts
    return starts[filled], ends[filled]


class Lines:
    """Some lines of a block of text.

    Attributes:
        data: The block.
        starts: `[n]` where each line starts.
        ends: `[n]` where it ends, the line end excluded.
        row: Position of the first line in its unit.
    """

    def __init__(self, data: bytes, starts: np.ndarray, ends: np.ndarray, row: int):
        self.data, self.starts, self.ends, self.row = data, starts, ends, row

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, low: int, high: int) -> Lines:
        """Some of the lines."""
        return Lines(
            self.data, self.starts[low:high], self.ends[low:high], self.row + low
        )

    def text(self) -> bytes:
        """All of them as one text."""
        return self.data[self.starts[0] : self.ends[-1]] + b"\n"

    def line(self, index: int) -> bytes:
        """One of them."""
        return self.data[self.starts[index] : self.ends[index]]

    def shown(self, index: int) -> str:
        """One of them for people; bytes that are not UTF-8 are escaped."""
        return self.line(index).decode("utf-8", "backslashreplace")


def read_lines(
    blocks: Iterator[bytes], most: int, quoting: Quoting | None = None
) -> Iterator[Lines]:
    """The lines of blocks that are not blank, at most so many at once."""
    row = 0
    for data in blocks:
        starts, ends = split_lines(data, quoting)
        for low in range(0, len(starts), most):
            high = min(low + most, len(starts))
            yield Lines(data, starts[low:high], ends[low:high], row + low)
        row += len(starts)


def first_line(path: str) -> bytes:
    """The first line of a file, with its line end."""
    with open_read(path, decompress=True) as file:
        line = file.readline()
    if not line:
        raise PrepareError(f"{path}: empty, a header line is expected")
    return line
