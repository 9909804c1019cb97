"""Tables that every worker holds whole: read and checked once."""

from __future__ import annotations

from collections import Counter

import apache_beam as beam

from hgr_tf.pipelines.files.blocks import BlockWriter
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.settings import InputFile, Settings
from hgr_tf.pipelines.sources import plan_units
from hgr_tf.pipelines.steps.elements import COUNTS, REJECTED, unit_report
from hgr_tf.pipelines.tables.side_table import load
from hgr_tf.pipelines.tables.user_codes import CODES, load_codes


class LoadTable(beam.DoFn):
    """Reads and checks a table; yields its block and what was wrong with it."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, owner: str):
        """Yields (owner, Block)."""
        spec, units = self._settings.spec, []
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
            reports = [unit_report(owner, *unit, writer) for unit in table.units]
        for report in reports:
            yield beam.pvalue.TaggedOutput(REJECTED, report)
        counts = {
            f"{owner}_table_rows": table.rows.num_rows,
            f"{owner}_table_bad": sum(report.bad for report in reports),
            f"{owner}_table_repeated_keys": table.repeated,
        }
        yield beam.pvalue.TaggedOutput(COUNTS, Counter(counts))
        yield owner, block


class LoadCodes(beam.DoFn):
    """Reads the table of user codes; yields its block."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def process(self, file: InputFile):
        """Yields (CODES, Block)."""
        settings = self._settings
        source = File(file.path, file.size)
        codes = load_codes(source, settings.spec, settings.code_prefix)
        with BlockWriter(settings.temporary, "tables") as writer:
            block = writer.write(codes, (0,))
        yield CODES, block
