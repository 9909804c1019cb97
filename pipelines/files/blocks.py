"""Blocks: Arrow tables stored one after another in temporary files."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

import pyarrow as pa

from hgr_tf.pipelines.files.files import create, join, make_folder, open_read

_IPC = pa.ipc.IpcWriteOptions(compression="lz4")


class Block(NamedTuple):
    """A table stored inside a temporary file.

    Attributes:
        order: Sorts the blocks of one destination, whatever order they come in.
    """

    path: str
    offset: int
    length: int
    rows: int
    order: tuple[int, ...]


class BlockWriter:
    """Writes tables one after another into one temporary file.

    Every attempt has a file of its own, so a bundle that Beam retries never
    mixes with its first try. There is none without a table: not every store takes
    a file without bytes.
    """

    def __init__(self, folder: str, stage: str):
        self._folder = join(folder, stage)
        self._path = join(self._folder, uuid.uuid4().hex)
        self._file: BufferedIOBase | None = None
        self._offset = 0

    def write(self, table: pa.Table, order: tuple[int, ...]) -> Block:
        """Appends a table and says where it lies."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=_IPC) as writer:
            writer.write_table(table)
        data = sink.getvalue()
        if self._file is None:
            make_folder(self._folder)
            self._file = create(self._path)
        self._file.write(memoryview(data))
        block = Block(self._path, self._offset, len(data), table.num_rows, order)
        self._offset += len(data)
        return block

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def read_block(block: Block) -> pa.Table:
    """The table of a block."""
    with open_read(block.path) as file:
        file.seek(block.offset)
        data = file.read(block.length)
    with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
        return reader.read_all()


def read_blocks(blocks: list[Block]) -> Iterator[pa.Table]:
    """The tables of blocks, in their order."""
    for block in sorted(blocks, key=lambda b: b.order):
        yield read_block(block)


def read_in_batches(blocks: list[Block], rows: int) -> Iterator[pa.Table]:
    """The rows of blocks, in order, put together to batches of so many rows or more."""
    waiting: list[pa.Table] = []
    size = 0
    for table in read_blocks(blocks):
        waiting.append(table)
        size += table.num_rows
        if size >= rows:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
