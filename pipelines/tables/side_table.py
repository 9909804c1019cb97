"""Tables of user and item features, and the join of log rows to them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import FeatureSpec
from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.files.blocks import Block, read_block
from hgr_tf.pipelines.rows.fields import arrow_fields, key_field, table_fields
from hgr_tf.pipelines.rows.validation import check_table
from hgr_tf.pipelines.sources import Rejected, Unit, read_unit


class LoadedTable(NamedTuple):
    """A checked table.

    Attributes:
        rows: Its rows, one a key: the first of each.
        units: Rows read and bad rows of each unit.
        repeated: Rows dropped because their key came before.
    """

    rows: pa.Table
    units: list[tuple[Unit, int, list[Rejected]]]
    repeated: int


def load(units: list[Unit], spec: FeatureSpec, owner: TableOwner) -> LoadedTable:
    """Reads and checks a whole table."""
    fields = table_fields(spec, owner)
    columns = list(dict.fromkeys(f.column for f in fields))
    parts, read_units = [arrow_fields(fields).empty_table()], []
    for unit in units:
        read, bad = 0, []
        for batch in read_unit(unit, columns):
            rows, checks = check_table(batch, spec, owner)
            parts.append(rows.filter(pa.array(checks.good)))
            bad += checks.rejected()
            read += len(batch.rows) + len(batch.rejected)
        read_units.append((unit, read, bad))
    rows = pa.concat_tables(parts).combine_chunks()
    first = first_of_each(rows[key_field(spec, owner).name])
    return LoadedTable(rows.take(first), read_units, rows.num_rows - len(first))


def first_of_each(keys: pa.ChunkedArray) -> pa.Array:
    """Positions of the first row of each key, ascending."""
    numbered = pa.table({"key": keys, "at": np.arange(len(keys))})
    first = numbered.group_by("key").aggregate([("at", "min")])["at_min"]
    return first.combine_chunks().sort()


class SideTable:
    """A table held whole by each worker: small enough to be a side input.

    Attributes:
        rows: The table, with one more row at the end, all null, that stands
            for the ids it lacks.
        digest: Tells tables apart in caches.
    """

    def __init__(self, rows: pa.Table, key: str, digest: str = ""):
        absent = pa.table({f.name: pa.array([None], f.type) for f in rows.schema})
        self.rows = pa.concat_tables([rows, absent]).combine_chunks()
        self.digest = digest
        self._keys = rows[key].combine_chunks()

    def positions(self, ids: pa.ChunkedArray | pa.Array) -> np.ndarray:
        """Row of the table for each id; the last one where the table lacks it."""
        found = pc.index_in(ids, value_set=self._keys)
        found = pc.fill_null(found, len(self._keys))
        return found.to_numpy().astype(np.int32, copy=False)

    def count_found(self, ids: pa.ChunkedArray | pa.Array) -> int:
        """How many of the ids the table has."""
        return int((self.positions(ids) != self.absent).sum())

    @property
    def absent(self) -> int:
        """Position that stands for the ids the table lacks."""
        return len(self._keys)


@lru_cache(maxsize=4)
def side_table(block: Block, key: str) -> SideTable:
    """The table that a block holds, read once a worker."""
    return SideTable(read_block(block), key, digest=f"{block.path}:{block.offset}")
