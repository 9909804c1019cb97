"""ORC: a unit is a stripe, which is decoded as a whole.

Arrow reads ORC's timestamps as nanoseconds; a stripe with one that these do not hold
(before 1678 or past 2262) cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyarrow import orc

from hgr_tf.features import Format
from hgr_tf.pipelines.files.files import File, open_read
from hgr_tf.pipelines.sources.base import (
    Header,
    RawBatch,
    Unit,
    arrow_batches,
    arrow_plan,
)

SUFFIXES = (".orc",)


def plan(file: File, file_index: int, format_: Format) -> tuple[list[Unit], Header]:
    """Returns one unit per stripe, and the columns of the file."""
    with open_read(file.path) as source:
        footer = orc.ORCFile(source)
        stripes, schema = footer.nstripes, footer.schema
    return arrow_plan(file, file_index, format_, schema, stripes)


def read(unit: Unit, columns: list[str]) -> Iterator[RawBatch]:
    """Yields the rows of a stripe in batches."""
    with open_read(unit.path) as source:
        file = orc.ORCFile(source)
        # A stripe of no column would have no rows.
        stripe = file.read_stripe(unit.start, columns or file.schema.names[:1])
    yield from arrow_batches([stripe], columns)
