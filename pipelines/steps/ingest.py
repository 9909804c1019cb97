"""First pass: read, check, split; write the good rows, explain the bad ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from hgr_tf.pipelines.files.blocks import Block, BlockWriter
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.files.progress import report_rows
from hgr_tf.pipelines.reasons import UNMATCHED
from hgr_tf.pipelines.rows import origin
from hgr_tf.pipelines.rows.fields import EARLIER, SPLIT, id_field
from hgr_tf.pipelines.rows.splits import splits_of
from hgr_tf.pipelines.rows.validation import check_log
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources import RawBatch, Rejected, Unit, plan_units, read_unit
from hgr_tf.pipelines.sources.formats import present_columns
from hgr_tf.pipelines.steps.elements import (
    COUNTS,
    REJECTED,
    Batch,
    rejected_blocks,
    unit_report,
)
from hgr_tf.pipelines.tables.joining import join_side, side_tables
from hgr_tf.pipelines.tables.side_table import SideTable
from hgr_tf.pipelines.tables.user_codes import code_table


class PlanUnits(beam.DoFn):
    """Cuts input files into units, and checks that they have the columns."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, file_index: int) -> Iterator[Unit]:
        """Yields the units of the file at `file_index`."""
        spec = self._settings.spec
        file = self._settings.log_files[file_index]
        yield from plan_units(
            File(file.path, file.size), file_index, spec.format, spec.log_columns()
        )


class Ingest(beam.DoFn):
    """Reads a unit; yields its good rows in batches."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._read = Metrics.counter("hgr_tf", "rows_read")
        self._bad = Metrics.counter("hgr_tf", "rows_bad")

    def process(
        self, unit: Unit, tables: dict[str, Block]
    ) -> Iterator[Batch | TaggedOutput]:
        """Yields batches; reports and counts as tagged outputs."""
        yield from self.ingested(unit, read_unit(unit, self._columns(unit)), tables)

    def ingested(
        self, unit: Unit, read: Iterable[RawBatch], tables: dict[str, Block]
    ) -> Iterator[Batch | TaggedOutput]:
        """Checks and stores what was read of a unit; yields what `process` does."""
        settings = self._settings
        sides, codes = side_tables(settings, tables), code_table(tables)
        batches: list[Batch] = []
        rejected: list[Block] = []
        counts: Counter[str] = Counter()
        with BlockWriter(settings.temporary, "checked") as writer:
            for index, raw in enumerate(read):
                rows, bad = self._check(raw, unit, sides, counts)
                if codes:
                    users = rows[id_field(settings.spec, "user").name]
                    counts["rows_with_code"] += codes.count_found(users)
                rejected += rejected_blocks(bad, writer)
                counts.update(f"bad: {r.reason}" for r in bad)
                report_rows(
                    settings.temporary, "read", len(raw.rows) + len(raw.rejected)
                )
                if bad:
                    report_rows(settings.temporary, "bad", len(bad))
                if rows.num_rows:
                    key = (unit.file_index, unit.place, index)
                    batches.append(Batch(key, writer.write(rows, key)))
        reported = unit_report("log", unit, counts["rows_read"], rejected)
        yield from batches  # only now: the file must be whole before it is read
        yield TaggedOutput(REJECTED, reported)
        counts["rows_bad"] = reported.bad
        self._read.inc(counts["rows_read"])
        self._bad.inc(reported.bad)
        yield TaggedOutput(COUNTS, counts)

    def _columns(self, unit: Unit) -> list[str]:
        spec, file = self._settings.spec, self._settings.log_files[unit.file_index]
        return present_columns(
            File(file.path, file.size),
            spec.format,
            spec.log_columns(),
            spec.optional_columns(),
        )

    def _check(
        self,
        raw: RawBatch,
        unit: Unit,
        sides: dict[str, SideTable],
        counts: Counter[str],
    ) -> tuple[pa.Table, list[Rejected]]:
        spec = self._settings.spec
        rows, checks = check_log(raw, spec)
        joined = join_side(rows, self._settings, sides)
        for owner in self._settings.side_owners():
            absent = joined.positions[owner] == sides[owner].absent
            unmatched = checks.good & absent
            counts[f"rows_without_{owner}"] += int(unmatched.sum())
            if spec.tables[owner].unmatched == "reject":
                id_column = spec.user_id if owner == "user" else spec.item_id
                checks.reject(id_column, UNMATCHED, unmatched)
        if origin.is_needed(self._settings):
            rows = origin.with_origin(rows, unit, raw.rows)
        good = rows.filter(pa.array(checks.good))
        counts["rows_read"] += len(raw.rows) + len(raw.rejected)
        counts["rows_good"] += good.num_rows
        if unit.file_index >= len(self._settings.files):
            counts["rows_earlier"] += good.num_rows
        return self._with_split(good, unit), checks.rejected()

    def _with_split(self, rows: pa.Table, unit: Unit) -> pa.Table:
        settings = self._settings
        given = settings.log_files[unit.file_index].split
        if unit.file_index >= len(settings.files):
            splits = np.full(rows.num_rows, EARLIER, np.int8)
        elif given is None:
            splits = splits_of(rows, self._settings.spec, self._settings.seed)
        else:
            splits = np.full(rows.num_rows, given, np.int8)
        return rows.append_column(SPLIT, pa.array(splits, pa.int8()))
