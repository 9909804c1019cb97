"""Why log rows find no row in a table: a key of each side, as they are read."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from hgr_tf.features import Format
from hgr_tf.features.spec import TableOwner
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.rows.fields import id_field, key_field
from hgr_tf.pipelines.rows.validation import Checks, check_log, check_table
from hgr_tf.pipelines.settings import InputFile, Settings
from hgr_tf.pipelines.sources import RawBatch, plan_units, read_unit
from hgr_tf.pipelines.sources.bigquery import is_bigquery


def key_of_each_side(settings: Settings, owner: TableOwner) -> str:
    """Text such as "the log has user '1.0', the table id '1'".

    Reads until both sides have a good row: that of the log is the first whose id
    is not among the first keys of the table.
    """
    spec, table = settings.spec, settings.spec.tables[owner]
    of_log, of_table = id_field(spec, owner), key_field(spec, owner)

    def checked_table(batch: RawBatch) -> tuple[pa.Table, Checks]:
        return check_table(batch, spec, owner)

    keys = _first_values(
        settings.tables[owner],
        table.format,
        spec.table_columns(owner),
        checked_table,
        of_table.name,
    )
    ids = _first_values(
        tuple(file for file in settings.files if not is_bigquery(file.path)),
        spec.format,
        spec.log_columns(),
        lambda batch: check_log(batch, spec),
        of_log.name,
    )
    known = set(keys)
    unmatched = next((i for i in ids if i not in known), None)
    return (
        f"the log has {of_log.column} {unmatched!r}, the table {of_table.column} "
        f"{keys[0] if keys else None!r} (as {of_log.dtype}; another `dtype` of the "
        f"{owner} id's feature may make them meet)"
    )


def _first_values(
    files: tuple[InputFile, ...],
    format_: Format,
    columns: list[str],
    check: Callable[[RawBatch], tuple[pa.Table, Checks]],
    name: str,
) -> list:
    """Values of a field in the first batch that has good rows."""
    for index, file in enumerate(files):
        units = plan_units(File(file.path, file.size), index, format_, columns)
        for unit in units:
            for batch in read_unit(unit, columns):
                rows, checks = check(batch)
                good = rows.filter(pa.array(checks.good))
                if good.num_rows:
                    return good[name].to_pylist()
    return []
