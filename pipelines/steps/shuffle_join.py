"""The join by shuffling: for tables too large to be held whole by each worker.

Rows of the log and of the table are dealt to partitions by id; where they
meet, the columns of the table are appended to the rows of the log.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TypedDict

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from hgr_tf.features.fingerprint import text_fingerprints
from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.files.blocks import (
    Block,
    BlockWriter,
    read_blocks,
    read_in_batches,
)
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.kernels.randomness import mixed
from hgr_tf.pipelines.reasons import UNMATCHED
from hgr_tf.pipelines.rows.fields import (
    Field,
    arrow_fields,
    id_field,
    key_field,
    table_fields,
)
from hgr_tf.pipelines.rows.origin import ORIGIN
from hgr_tf.pipelines.rows.validation import check_table
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources import Rejected, Unit, plan_units, read_unit
from hgr_tf.pipelines.sources.base import BATCH_ROWS
from hgr_tf.pipelines.steps.deal_groups import Destination, dealt_to_partitions
from hgr_tf.pipelines.steps.elements import (
    COUNTS,
    REJECTED,
    Batch,
    UnitReport,
    rejected_blocks,
    unit_report,
)
from hgr_tf.pipelines.tables.side_table import SideTable, first_of_each


class Met(TypedDict):
    """Rows of the log and of the table with ids of one partition."""

    log: list[Block]
    table: list[Block]


class PlanTableUnits(beam.DoFn):
    """Cuts the files of a table into units."""

    def __init__(self, settings: Settings, owner: TableOwner):
        self._settings, self._owner = settings, owner

    def process(self, file_index: int) -> Iterator[Unit]:
        """Yields the units of the file at `file_index`."""
        spec, owner = self._settings.spec, self._owner
        file = self._settings.tables[owner][file_index]
        yield from plan_units(
            File(file.path, file.size),
            file_index,
            spec.tables[owner].format,
            spec.table_columns(owner),
        )


class SendTable(beam.DoFn):
    """Checks the rows of a table's unit and deals them by key."""

    def __init__(self, settings: Settings, owner: TableOwner):
        self._settings, self._owner = settings, owner

    def process(self, unit: Unit) -> Iterator[tuple[Destination, Block] | TaggedOutput]:
        """Yields ((0, partition or group), Block); reports and counts are tagged."""
        settings, owner = self._settings, self._owner
        key = key_field(settings.spec, owner)
        sent: list[tuple[Destination, Block]] = []
        rejected: list[Block] = []
        read = 0
        with BlockWriter(settings.temporary, "tables") as writer:
            columns = settings.spec.table_columns(owner)
            for index, raw in enumerate(read_unit(unit, columns)):
                rows, checks = check_table(raw, settings.spec, owner)
                rejected += rejected_blocks(checks.rejected(), writer)
                read += len(raw.rows) + len(raw.rejected)
                order = (unit.file_index, unit.place, index)
                good = rows.filter(pa.array(checks.good))
                sent += _send(good, key, order, settings, writer)
        report = unit_report(owner, unit, read, rejected)
        yield from sent
        yield TaggedOutput(REJECTED, report)
        yield TaggedOutput(COUNTS, Counter({f"{owner}_table_bad": report.bad}))


class SendLog(beam.DoFn):
    """Deals the rows of a batch by the id that a table is joined on."""

    def __init__(self, settings: Settings, owner: TableOwner):
        self._settings, self._owner = settings, owner

    def process(self, batch: Batch) -> Iterator[tuple[Destination, Block]]:
        """Yields ((0, partition or group), Block)."""
        settings = self._settings
        field = id_field(settings.spec, self._owner)
        (rows,) = read_blocks([batch.block])
        with BlockWriter(settings.temporary, "joining") as writer:
            sent = _send(rows, field, batch.key, settings, writer)
        yield from sent


class Join(beam.DoFn):
    """Joins the log rows and the table rows of a partition."""

    def __init__(self, settings: Settings, owner: TableOwner):
        self._settings, self._owner = settings, owner

    def process(
        self, element: tuple[Destination, Met]
    ) -> Iterator[Batch | TaggedOutput]:
        """Takes ((0, partition), {"log": blocks, "table": blocks}); yields batches."""
        (_, partition), met = element
        settings, owner = self._settings, self._owner
        table, repeated = self._table(met["table"])
        counts = Counter(
            {
                f"{owner}_table_rows": table.absent,
                f"{owner}_table_repeated_keys": repeated,
            }
        )
        batches: list[Batch] = []
        reports: list[UnitReport] = []
        with BlockWriter(settings.temporary, "joined") as writer:
            for index, rows in enumerate(read_in_batches(met["log"], BATCH_ROWS)):
                rows, unmatched = self._joined(rows, table)
                counts[f"rows_without_{owner}"] += int(unmatched.sum())
                if settings.spec.tables[owner].unmatched == "reject":
                    bad = rows.filter(pa.array(unmatched))
                    reports += list(self._rejected(bad, writer, counts))
                    rows = rows.filter(pa.array(~unmatched))
                if rows.num_rows:
                    key = (partition, index)
                    batches.append(Batch(key, writer.write(rows, key)))
        yield from batches
        yield TaggedOutput(COUNTS, counts)
        for report in reports:
            yield TaggedOutput(REJECTED, report)

    def _table(self, blocks: list[Block]) -> tuple[SideTable, int]:
        """The partition's part of the table, and how many keys came again."""
        spec, owner = self._settings.spec, self._owner
        empty = arrow_fields(table_fields(spec, owner)).empty_table()
        key = key_field(spec, owner).name
        rows = pa.concat_tables([empty, *read_blocks(blocks)])
        first = first_of_each(rows[key])
        return SideTable(rows.take(first), key), rows.num_rows - len(first)

    def _joined(self, rows: pa.Table, table: SideTable) -> tuple[pa.Table, np.ndarray]:
        """The rows with the table's columns; and which have no match."""
        at = table.positions(rows[id_field(self._settings.spec, self._owner).name])
        found = table.rows.take(pa.array(at))
        for name in found.column_names:
            rows = rows.append_column(name, found[name])
        return rows, at == table.absent

    def _rejected(
        self, rows: pa.Table, writer: BlockWriter, counts: Counter[str]
    ) -> Iterator[UnitReport]:
        """Reports of rows without a match, which were good so far."""
        settings, owner = self._settings, self._owner
        column = id_field(settings.spec, owner).column
        by_unit: dict[tuple[int, int], list[Rejected]] = defaultdict(list)
        for origin in rows.select(ORIGIN).to_pylist():
            file_index, unit, place = (origin[name] for name in ORIGIN)
            by_unit[file_index, unit].append(
                Rejected(place, column, UNMATCHED, raw=None)
            )
        bad = rows.num_rows
        counts.update({"rows_good": -bad, "rows_bad": bad, f"bad: {UNMATCHED}": bad})
        for (file_index, index), rejected in by_unit.items():
            file = settings.log_files[file_index]
            unit = Unit(file.path, settings.spec.format, file_index, index)
            yield unit_report("log", unit, 0, rejected_blocks(rejected, writer))


def _send(
    rows: pa.Table,
    field: Field,
    order: tuple[int, ...],
    settings: Settings,
    writer: BlockWriter,
) -> list[tuple[Destination, Block]]:
    """Writes the rows by partition of a field's value, or by group of partitions."""
    words = mixed(text_fingerprints(rows[field.name].combine_chunks()), 2)
    partitions = words % np.uint64(settings.partitions)
    parts = dealt_to_partitions(rows, partitions, settings)
    return [((0, place), writer.write(part, order)) for place, part in parts]
