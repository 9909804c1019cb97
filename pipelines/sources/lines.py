"""Text files as blocks of complete lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipelines.errors import PrepareError
from pipelines.sources.base import Unit
from pipelines.storage import File, is_compressed, open_read

UNIT_BYTES = 64 << 20
BLOCK_BYTES = 8 << 20
_NEWLINE, _RETURN = ord("\n"), ord("\r")


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
        unit._replace(index=i, start=start, end=end)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def read_blocks(unit: Unit, quote: str = "") -> Iterator[bytes]:
    """Blocks of complete lines; the lines that start within the unit's bounds.

    Args:
        unit: Bounds in bytes; an `end` of None means the end of the file.
        quote: When given, line ends between quotes do not end a line.
    """
    with open_read(unit.path, decompress=True) as file:
        if unit.index == 0:
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
            position += len(data)
            if unit.end is not None and position >= unit.end:
                data += _rest_of_line(file, data)
            data = rest + data
            end = _last_line_end(data, quote)
            rest = data[end:]
            if end:
                yield data[:end]
        if rest:
            yield rest


def _skip(file, size: int) -> None:
    while size > 0:
        size -= len(file.read(min(size, BLOCK_BYTES))) or size


def _rest_of_line(file, data: bytes) -> bytes:
    return b"" if data.endswith(b"\n") else file.readline()


def _last_line_end(data: bytes, quote: str) -> int:
    if not quote:
        return data.rfind(b"\n") + 1
    ends = line_ends(data, quote)
    return int(ends[-1]) if len(ends) else 0


def line_ends(data: bytes, quote: str = "") -> np.ndarray:
    """Positions just past each line end; with `quote`, of those outside quotes."""
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == _NEWLINE)
    if quote and len(ends):
        quotes = np.flatnonzero(array == ord(quote))
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return ends + 1


def split_lines(data: bytes, quote: str = "") -> tuple[np.ndarray, np.ndarray]:
    r"""Start and end of each line of a block that is not blank.

    The end excludes the line end, "\\n" or "\\r\\n".
    """
    if not data:
        return np.array([], np.int64), np.array([], np.int64)
    ends = line_ends(data, quote)
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

    def __len__(self):
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


def read_lines(blocks: Iterator[bytes], most: int, quote: str = "") -> Iterator[Lines]:
    """The lines of blocks that are not blank, at most so many at once."""
    row = 0
    for data in blocks:
        starts, ends = split_lines(data, quote)
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
