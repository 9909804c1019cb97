"""Tables that every worker holds whole: read and checked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.files.blocks import Block, BlockWriter
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.settings import InputFile, Settings
from hgr_tf.pipelines.sources import Unit, plan_units
from hgr_tf.pipelines.steps.elements import (
    COUNTS,
    REJECTED,
    rejected_blocks,
    unit_report,
)
from hgr_tf.pipelines.tables.side_table import load
from hgr_tf.pipelines.tables.user_codes import CODES, load_codes


class LoadTable(beam.DoFn):
    """Reads and checks a table; yields its block and what was wrong with it."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(
        self, owner: TableOwner
    ) -> Iterator[tuple[TableOwner, Block] | TaggedOutput]:
        """Yields (owner, Block)."""
        spec = self._settings.spec
        units: list[Unit] = []
        for index, file in enumerate(self._settings.tables[owner]):
            units += plan_units(
                File(file.path, file.size),
                index,
                spec.tables[owner].format,
                spec.table_columns(owner),
            )
        table = load(units, spec, owner)
        with BlockWriter(self._settings.temporary, "tables") as writer:
            block = writer.write(table.rows, (0,))
            reports = [
                unit_report(owner, unit, read, rejected_blocks(bad, writer))
                for unit, read, bad in table.units
            ]
        for report in reports:
            yield TaggedOutput(REJECTED, report)
        counts = {
            f"{owner}_table_rows": table.rows.num_rows,
            f"{owner}_table_bad": sum(report.bad for report in reports),
            f"{owner}_table_repeated_keys": table.repeated,
        }
        yield TaggedOutput(COUNTS, Counter(counts))
        yield owner, block


class LoadCodes(beam.DoFn):
    """Reads the table of user codes; yields its block."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, file: InputFile) -> Iterator[tuple[str, Block]]:
        """Yields (CODES, Block)."""
        settings = self._settings
        source = File(file.path, file.size)
        codes = load_codes(source, settings.spec, settings.code_prefix)
        with BlockWriter(settings.temporary, "tables") as writer:
            block = writer.write(codes, (0,))
        yield CODES, block
