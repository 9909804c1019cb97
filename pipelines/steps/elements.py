"""What moves through the Beam graph: small descriptors of rows in files.

Beam reads annotations of steps, but takes those that are texts for "any type": as
`from __future__ import annotations` is in every file of steps, they are for people
and for mypy, and no coder follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from hgr_tf.pipelines.files.blocks import Block, BlockWriter
from hgr_tf.pipelines.sources import Rejected, Unit

REJECTED = "rejected"
"""Tag of the output of `UnitReport`s."""

COUNTS = "counts"
"""Tag of the output of counters."""


_REJECTED_SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "column": pa.string(),
        "reason": pa.string(),
        "raw": pa.large_string(),
    }
)

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
        blocks: The bad rows, as `rejected_blocks` wrote them.
    """

    source: str
    path: str
    file_index: int
    place: int
    rows: int
    blocks: tuple[Block, ...]

    @property
    def bad(self) -> int:
        """How many bad rows there are."""
        return sum(block.rows for block in self.blocks)


def unit_report(
    source: str, unit: Unit, rows: int, blocks: Iterable[Block]
) -> UnitReport:
    """The report of a unit, whose bad rows are written."""
    return UnitReport(
        source, unit.path, unit.file_index, unit.place, rows, tuple(blocks)
    )


def rejected_blocks(rejected: list[Rejected], writer: BlockWriter) -> list[Block]:
    """Writes bad rows of a unit: one block, or none where there are none."""
    if not rejected:
        return []
    columns = dict(zip(Rejected._fields, zip(*rejected, strict=True), strict=True))
    table = pa.table(
        [pa.array(columns[field.name], field.type) for field in _REJECTED_SCHEMA],
        _REJECTED_SCHEMA,
    )
    return [writer.write(table, (rejected[0].row,))]
