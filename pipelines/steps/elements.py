"""What moves through the Beam graph: small descriptors of rows in files.

Beam reads annotations of steps, but takes those that are texts for "any type": as
`from __future__ import annotations` is in every file of steps, they are for people
and for mypy, and no coder follows from them.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from hgr_tf.pipelines.files.blocks import Block, BlockWriter
from hgr_tf.pipelines.sources import Rejected, Unit

REJECTED = "rejected"
"""Tag of the output of `UnitReport`s."""

COUNTS = "counts"
"""Tag of the output of counters."""


Key = tuple[int, ...]
"""Identifies a batch whatever the runner: file, unit, position."""

Sent = tuple[Key, Block]
"""Rows of a batch, where rows of many batches meet; or what is decided of them."""


class Batch(NamedTuple):
    """Checked rows.

    Attributes:
        key: Which batch it is.
        block: Where the rows are.
    """

    key: Key
    block: Block


class UnitReport(NamedTuple):
    """The bad rows of a unit.

    Attributes:
        source: "log", "user" or "item".
        path: Path of the file.
        file_index: Position of the file among the inputs of its source.
        place: Position of the unit in its file.
        rows: Rows of the unit, good and bad.
        block: The bad rows; None if there are none.
        bad: How many there are.
    """

    source: str
    path: str
    file_index: int
    place: int
    rows: int
    block: Block | None
    bad: int


def unit_report(
    source: str,
    unit: Unit,
    rows: int,
    rejected: list[Rejected],
    writer: BlockWriter,
) -> UnitReport:
    """The report of a unit, whose bad rows are written."""
    block = None
    if rejected:
        columns = zip(*rejected, strict=True)
        table = pa.table(dict(zip(Rejected._fields, map(list, columns), strict=True)))
        block = writer.write(table, (unit.place,))
    return UnitReport(
        source, unit.path, unit.file_index, unit.place, rows, block, len(rejected)
    )
