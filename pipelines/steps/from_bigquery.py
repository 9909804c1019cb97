"""First pass over tables of BigQuery, whose rows Beam reads itself.

Beam's source reads a table through BigQuery's Storage API, many streams at once. Rows
of a table have no order, so that batches differ from run to run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from hgr_tf.features import Format
from hgr_tf.pipelines.errors import need_extra
from hgr_tf.pipelines.files.blocks import Block
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources import Unit
from hgr_tf.pipelines.sources.bigquery import table_reference
from hgr_tf.pipelines.sources.values import batches_of_values
from hgr_tf.pipelines.steps.elements import Batch
from hgr_tf.pipelines.steps.ingest import Ingest

Row = dict[str, Any]

_BATCH_ROWS = 16_384
"""Rows that are gathered as Python values, at most."""


class ReadRows(beam.PTransform):
    """Reads columns of a table: batches of rows, as dicts of Python values."""

    def __init__(self, path: str, columns: list[str]):
        super().__init__()
        self._table, self._columns = table_reference(path), columns

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        """Returns lists of rows."""
        need_extra("google.cloud.bigquery_storage", "dataflow", "BigQuery tables")
        rows = pbegin | beam.io.ReadFromBigQuery(
            method=beam.io.ReadFromBigQuery.Method.DIRECT_READ,
            table=self._table,
            selected_fields=self._columns,
            use_native_datetime=True,
        )
        return rows | beam.BatchElements(max_batch_size=_BATCH_ROWS)


class IngestRows(beam.DoFn):
    """Checks batches of rows of a table; yields what `Ingest` does."""

    def __init__(self, settings: Settings, file_index: int):
        self._settings, self._index = settings, file_index
        self._ingest = Ingest(settings)

    def process(
        self, rows: list[Row], tables: dict[str, Block]
    ) -> Iterator[Batch | TaggedOutput]:
        """Yields batches; reports and counts as tagged outputs."""
        path = self._settings.log_files[self._index].path
        # Nothing numbers the batches; the place tells them apart.
        place = uuid.uuid4().int >> 66
        unit = Unit(path, Format(), self._index, place)
        columns = wanted_columns(self._settings)
        raw = batches_of_values(
            [tuple(map(row.get, columns)) for row in rows],
            columns,
            np.arange(len(rows)),
            raw=_json_of(rows),
            rejected=[],
        )
        yield from self._ingest.ingested(unit, raw, tables)


def wanted_columns(settings: Settings) -> list[str]:
    """The columns that are read of a table, which must have all of them."""
    spec = settings.spec
    return list(dict.fromkeys([*spec.log_columns(), *spec.optional_columns()]))


def _json_of(rows: list[Row]) -> Callable[[int], str]:
    return lambda i: json.dumps(rows[i], default=str)
